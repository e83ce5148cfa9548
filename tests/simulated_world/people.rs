//! The people of a world: what they do, and what they last said.

use crate::scenario::Act;
use crate::world::Outside;
use gigya_esp_gateway::sandbox::gigya::GigyaSim;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use tokio::time::Instant;

pub const NEWSLETTER: &str = "newsletter";
/// What an opt-in at Campaign Monitor counts for less, as it may be the echo of the gateway's own (README, "Limits").
const ECHO: SignedDuration = SignedDuration::from_mins(5);

/// A person, with all that they ever had.
#[derive(Clone)]
pub struct Person {
    pub name: &'static str,
    /// The account now.
    pub uid: Option<String>,
    pub uids: Vec<String>,
    /// The address now is the last one.
    pub addresses: Vec<String>,
    /// A second account, and its address.
    second: Option<(String, String)>,
    /// An opt-in awaits confirmation.
    is_pending: bool,
    pub said: Vec<Said>,
}

/// Something that a person said.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub what: Saying,
    /// When, really.
    pub at: Instant,
    /// When, as the system says where they said it: an opt-in's first possible instant, an opt-out's last.
    pub recorded: Timestamp,
    /// Where: 0 is Gigya, then the ESPs.
    pub system: usize,
}

/// In the order of who wins at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Saying {
    In,
    /// By a form, which counts for less.
    InByForm,
    Out,
    /// The account was deactivated.
    Inactive,
    /// The account was deleted.
    Deleted,
}

impl Saying {
    pub fn is_in(self) -> bool {
        matches!(self, Self::In | Self::InByForm)
    }
}

impl Person {
    pub fn new(name: &'static str, gigya: &GigyaSim, is_lite: bool) -> Self {
        let address = format!("{name}@example.org");
        let uid = if is_lite { gigya.sign_up_lite(&address) } else { gigya.sign_up(&address, name) };
        Self {
            name,
            uids: vec![uid.clone()],
            uid: Some(uid),
            addresses: vec![address],
            second: None,
            is_pending: false,
            said: Vec::new(),
        }
    }

    /// The address now.
    pub fn address(&self) -> &str {
        self.addresses.last().expect("everybody has an address")
    }

    /// Whether an event about this UID or address is about them.
    pub fn is(&self, subject: &str) -> bool {
        self.uids.iter().any(|uid| uid == subject) || self.addresses.iter().any(|address| address == subject)
    }

    /// What they said last, by the order of who wins.
    pub fn last_said(&self) -> Option<Said> {
        self.said.iter().copied().max_by_key(|said| (said.recorded, said.what))
    }

    pub fn is_active(&self, outside: &Outside) -> bool {
        self.uid.as_ref().and_then(|uid| outside.gigya.account(uid)).is_some_and(|account| account.is_active)
    }

    /// How Gigya has their subscription; none if they were never asked, or have no account.
    pub fn in_gigya(&self, outside: &Outside) -> Option<bool> {
        outside.gigya.is_subscribed(self.uid.as_ref()?, NEWSLETTER)
    }

    /// Whether Gigya has them opted in, and confirmed where that is needed.
    pub fn is_in(&self, outside: &Outside) -> bool {
        self.in_gigya(outside) == Some(true) && self.is_active(outside) && !self.is_pending
    }

    /// Does something, if it can be done.
    pub fn act(&mut self, act: Act, outside: &Outside) -> bool {
        let gigya = &outside.gigya;
        let is_free = self.uid.is_some();
        let uid = self.uid.clone().unwrap_or_default();
        let is_active = self.is_active(outside);
        let here = self.in_gigya(outside);
        match act {
            Act::OptIn if is_active && here != Some(true) => {
                gigya.subscribe(&uid, NEWSLETTER);
                self.is_pending = outside.place.double_opt_in;
                if !self.is_pending {
                    self.say(Saying::In, outside);
                }
            }
            Act::Confirm if is_active && here == Some(true) && self.is_pending => {
                gigya.confirm(&uid, NEWSLETTER);
                self.is_pending = false;
                self.say(Saying::In, outside);
            }
            Act::OptOut if is_active && here == Some(true) => {
                gigya.unsubscribe(&uid, NEWSLETTER);
                self.is_pending = false;
                self.say(Saying::Out, outside);
            }
            Act::Link(number) => {
                let esp = number % outside.esps.len();
                let Some(address) = self.addresses.iter().find(|address| outside.esps[esp].mails(address)) else {
                    return false;
                };
                outside.esps[esp].unsubscribe_link(address);
                self.is_pending = false;
                self.say_at(esp, Saying::Out, outside);
            }
            Act::Form if is_active && !outside.esps[0].mails(self.address()) => {
                outside.campaign_monitor.form_subscribe(&outside.list, self.address());
                self.say_at(0, Saying::InByForm, outside);
            }
            Act::Profile if is_free => {
                gigya.set_profile(&uid, "firstName", format!("name {}", fastrand::u32(..)).into());
            }
            Act::Move if is_active => {
                let address = format!("{}{}@example.org", self.name, self.addresses.len());
                self.addresses.push(address.clone());
                gigya.change_email(&uid, &address);
            }
            Act::MoveBack if is_active && self.addresses.len() > 1 => {
                let before = self.addresses.remove(self.addresses.len() - 2);
                self.addresses.push(before.clone());
                gigya.change_email(&uid, &before);
            }
            Act::Deactivate if is_active => {
                gigya.set_active(&uid, false);
                self.say(Saying::Inactive, outside);
            }
            Act::Activate if is_free && !is_active => gigya.set_active(&uid, true),
            Act::Delete if is_free => {
                gigya.delete(&uid);
                self.uid = None;
                self.is_pending = false;
                self.say(Saying::Deleted, outside);
            }
            Act::Return if !is_free => {
                let uid = gigya.sign_up(self.address(), self.name);
                self.uids.push(uid.clone());
                self.uid = Some(uid);
            }
            Act::Second if self.second.is_none() && outside.place.tokens => {
                let address = format!("{}.two@example.org", self.name);
                let uid = gigya.sign_up(&address, self.name);
                gigya.subscribe(&uid, NEWSLETTER);
                self.second = Some((uid, address));
            }
            Act::Merge if is_active && here.is_some() => {
                let Some((second, address)) = self.second.take() else { return false };
                self.addresses.insert(0, address);
                self.uids.push(second.clone());
                gigya.merge(&second, &uid);
            }
            Act::NewUid if is_active && outside.place.tokens => {
                let new = format!("{uid}.new");
                self.uids.push(new.clone());
                self.uid = Some(new.clone());
                gigya.change_uid(&uid, &new);
            }
            Act::Progress if is_active && gigya.account(&uid).is_some_and(|account| account.is_lite) => {
                gigya.progress(&uid);
            }
            _ => return false,
        }
        true
    }

    /// Says something in Gigya.
    fn say(&mut self, what: Saying, outside: &Outside) {
        self.said.push(Said {
            what,
            at: Instant::now(),
            recorded: milliseconds(outside.clocks.gigya.now()),
            system: 0,
        });
    }

    fn say_at(&mut self, esp: usize, what: Saying, outside: &Outside) {
        let now = outside.clocks.esps[esp].now();
        let recorded = match what {
            Saying::InByForm => first(now, outside, esp) - ECHO,
            _ => last(now, outside, esp),
        };
        self.said.push(Said { what, at: Instant::now(), recorded, system: esp + 1 });
    }
}

/// Gigya tells milliseconds.
fn milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).expect("a time")
}

/// The last instant that may be meant by what an ESP tells of `at`.
pub fn last(at: Timestamp, outside: &Outside, esp: usize) -> Timestamp {
    match outside.esps[esp].slug() {
        "campaign-monitor" if outside.place.coarse => {
            let zone = TimeZone::get("Europe/Berlin").expect("zones are built in");
            let next = zone.to_datetime(at).date() + 1.day();
            zone.to_timestamp(next.to_datetime(Time::midnight())).expect("midnight") - SignedDuration::from_nanos(1)
        }
        "campaign-monitor" => Timestamp::new(at.as_second(), 999_999_999).expect("a time"),
        _ => milliseconds(at),
    }
}

/// The first such instant.
fn first(at: Timestamp, outside: &Outside, esp: usize) -> Timestamp {
    match outside.esps[esp].slug() {
        "campaign-monitor" if outside.place.coarse => {
            let zone = TimeZone::get("Europe/Berlin").expect("zones are built in");
            let day = zone.to_datetime(at).date();
            zone.to_timestamp(day.to_datetime(Time::midnight())).expect("midnight")
        }
        "campaign-monitor" => Timestamp::new(at.as_second(), 0).expect("a time"),
        _ => milliseconds(at),
    }
}
