//! The people of a world: what they do, and what they last said.

use crate::scenario::Act;
use crate::world::Outside;
use gigya_esp_gateway::sandbox::gigya::GigyaSim;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::time::Duration;
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
    /// Addresses that came with an account that was merged into theirs.
    pub merged: Vec<String>,
    /// A second account, and its address.
    second: Option<(String, String)>,
    /// Took back an address that they had left: what the gateway deleted there counts as an opt-out.
    pub came_back: bool,
    changed: Vec<(Changed, Instant)>,
    /// Signed up again, and has another address since: what they said before is nobody's.
    pub is_new: bool,
    /// Changed the address at an ESP, where it is looked for under the one that Gigya has until the notice of it is through.
    pub moved_there: bool,
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
    /// When it counts for, by what the system says where they said it: an opt-in's first possible instant, an opt-out's last.
    pub recorded: Timestamp,
    /// Where: 0 is Gigya, then the ESPs.
    pub system: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Changed {
    Uid,
    Address,
}

/// Longer than a notice is worked on.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            merged: Vec::new(),
            second: None,
            came_back: false,
            changed: Vec::new(),
            is_new: false,
            moved_there: false,
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

    /// What they said last. An opt-in so soon after an opt-out elsewhere that the systems' times don't tell which was later
    /// doesn't count.
    pub fn last_said(&self) -> Option<Said> {
        let last = *self.said.last()?;
        let ties = |said: &&Said| said.at == last.at && said.system != last.system && !said.what.is_in();
        if last.what.is_in()
            && let Some(tied) = self.said.iter().rev().find(ties)
        {
            return Some(*tied);
        }
        let contradicts = |said: &&Said| {
            let are_compared = said.system != last.system || last.what == Saying::InByForm;
            // What was said later at the same ESP took its place there.
            let is_replaced = self.said.iter().any(|form| form.what == Saying::InByForm && form.at > said.at);
            !said.what.is_in() && are_compared && said.recorded >= last.recorded && !is_replaced
        };
        let contradicted = if last.what.is_in() { self.said.iter().rfind(contradicts) } else { None };
        Some(contradicted.copied().unwrap_or(last))
    }

    /// Whether their account was deactivated or deleted once.
    pub fn was_removed(&self) -> bool {
        self.said.iter().any(|said| matches!(said.what, Saying::Inactive | Saying::Deleted))
    }

    /// Whether their account was deleted while what they had said was still on its way: what is left of it, its token for one,
    /// stands for nobody then. Or after they used a form, which then counts for whoever has the address next.
    pub fn left_at_once(&self) -> bool {
        let deleted = self.said.iter().filter(|said| said.what == Saying::Deleted);
        deleted.clone().any(|deleted| {
            let before = self.said.iter().filter(|said| said.at <= deleted.at && said.what.is_in());
            self.used_a_form() || before.clone().any(|said| deleted.at - said.at < ON_ITS_WAY)
        })
    }

    /// Whether they got another UID and another address at once.
    pub fn became_another(&self) -> bool {
        let times = |what| self.changed.iter().filter(move |(changed, _)| *changed == what).map(|(_, at)| *at);
        times(Changed::Uid)
            .any(|uid| times(Changed::Address).any(|address| uid.max(address) - uid.min(address) < ON_ITS_WAY))
    }

    /// Whether they got another UID and another address just when they said something at an ESP that has their address alone:
    /// what was said there may be taken for that of an account that is gone.
    pub fn became_another_at(&self, said: &Said, outside: &Outside) -> bool {
        let alone_knows = outside.place.journal.as_ref().is_some_and(|journal| journal.alone_knows);
        let is_at_once = |at: &Instant| at.max(&said.at).duration_since(*at.min(&said.at)) < ON_ITS_WAY;
        let changed = self.changed.iter().any(|(what, at)| *what == Changed::Uid && is_at_once(at));
        alone_knows && said.system != 0 && changed && self.became_another()
    }

    /// Whether they ever used a form. Gigya finds them by the address that they used there, so they keep it.
    pub fn used_a_form(&self) -> bool {
        self.said.iter().any(|said| said.what == Saying::InByForm)
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
    #[allow(clippy::too_many_lines, reason = "a table")]
    pub fn act(&mut self, act: Act, outside: &Outside) -> bool {
        let gigya = &outside.gigya;
        let is_free = self.uid.is_some();
        let uid = self.uid.clone().unwrap_or_default();
        let is_active = self.is_active(outside);
        let here = self.in_gigya(outside);
        match act {
            // What awaits confirmation in Gigya stays so, whatever is said at an ESP.
            Act::OptIn if is_active && here != Some(true) && !(outside.place.double_opt_in && self.used_a_form()) => {
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
                // Who follows the link of an account that was merged away meanwhile opts out that one.
                let mut own = self.addresses.iter().filter(|address| !self.merged.contains(address));
                let Some(address) = own.find(|address| outside.esps[esp].mails(address)) else {
                    return false;
                };
                outside.esps[esp].unsubscribe_link(address);
                self.is_pending = false;
                self.say_at(esp, Saying::Out, outside);
            }
            Act::Form
                if is_active && !self.moved_there && !self.is_pending && !outside.esps[0].mails(self.address()) =>
            {
                outside.campaign_monitor.form_subscribe(&outside.list, self.address());
                self.say_at(0, Saying::InByForm, outside);
            }
            Act::Profile if is_free => {
                gigya.set_profile(&uid, "firstName", format!("name {}", fastrand::u32(..)).into());
            }
            Act::Move if is_active && !self.used_a_form() => {
                let address = format!("{}{}@example.org", self.name, self.addresses.len());
                self.addresses.push(address.clone());
                self.is_new |= self.said.iter().any(|said| said.what == Saying::Deleted);
                self.changed.push((Changed::Address, Instant::now()));
                gigya.change_email(&uid, &address);
            }
            Act::MoveBack if is_active && self.addresses.len() > 1 && !self.used_a_form() => {
                self.came_back = true;
                let before = self.addresses.remove(self.addresses.len() - 2);
                self.addresses.push(before.clone());
                gigya.change_email(&uid, &before);
            }
            Act::MoveThere
                if is_active
                    && !self.used_a_form()
                    && outside.esps[0].slug() == "campaign-monitor"
                    && outside.esps[0].mails(self.address()) =>
            {
                let new = format!("{}.there{}@example.org", self.name, self.addresses.len());
                outside.campaign_monitor.change_address(&outside.list, self.address(), &new);
                self.addresses.insert(0, new);
                self.moved_there = true;
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
            Act::Second if self.second.is_none() && self.merged.is_empty() && outside.place.tokens => {
                let address = format!("{}.two@example.org", self.name);
                let uid = gigya.sign_up(&address, self.name);
                gigya.subscribe(&uid, NEWSLETTER);
                self.second = Some((uid, address));
            }
            Act::Merge if is_active && here.is_some() => {
                let Some((second, address)) = self.second.take() else { return false };
                self.merged.push(address.clone());
                self.addresses.insert(0, address);
                self.uids.push(second.clone());
                gigya.merge(&second, &uid);
            }
            Act::NewUid if is_active && outside.place.tokens => {
                let new = format!("{uid}.new");
                self.uids.push(new.clone());
                self.uid = Some(new.clone());
                self.changed.push((Changed::Uid, Instant::now()));
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
            _ => counts_until(now, outside, esp),
        };
        self.said.push(Said { what, at: Instant::now(), recorded, system: esp + 1 });
    }
}

/// Gigya tells milliseconds.
fn milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).expect("a time")
}

/// The last instant that an opt-out counts for of which an ESP tells `at`.
pub fn counts_until(at: Timestamp, outside: &Outside, esp: usize) -> Timestamp {
    last(at, outside, esp) + SignedDuration::from_secs(outside.place.clocks_may_differ())
}

/// The last instant that may be meant by what an ESP tells of `at`.
fn last(at: Timestamp, outside: &Outside, esp: usize) -> Timestamp {
    match outside.esps[esp].slug() {
        "campaign-monitor" if outside.place.coarse => {
            let zone = TimeZone::get("Europe/Berlin").expect("zones are built in");
            let next = zone.to_datetime(at).date() + 1.day();
            zone.to_timestamp(next.to_datetime(Time::midnight())).expect("midnight") - SignedDuration::from_nanos(1)
        }
        "campaign-monitor" => Timestamp::new(at.as_second(), 999_999_999).expect("a time"),
        // Without a fraction it may mean the whole second.
        _ if at.as_millisecond() % 1_000 == 0 => Timestamp::new(at.as_second(), 999_999_999).expect("a time"),
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
