//! What must hold, at every instant and in the end.
//!
//! - Once an opt-out is delivered, nobody is mailable but by a newer opt-in of their own; save for as long as a notice that
//!   is older than the opt-out is still being worked on, or waits to be sent again: until it is through, what it carried may
//!   show for a moment.
//! - In the end each person's state is that of their own latest act, ties being the opt-out's, and all sides are equal. An
//!   opt-in that was said while an earlier opt-out was being written may have lost to it.

use crate::people::{NEWSLETTER, Person, Said, Saying, counts_until};
use crate::world::Outside;
use gigya_esp_gateway::sandbox::{Happened, Moment, SimulatedEsp};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a tag of the gateway's is taken to be about an opt-in (`gigya::account`), and a little.
const TAG_TOLERANCE: Duration = Duration::from_mins(3);

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Broken(String);

impl Broken {
    pub fn new(what: String) -> Self {
        Self(what)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every copy of every webhook event.
#[derive(Default)]
pub struct Ledger {
    copies: Mutex<BTreeMap<(&'static str, u64), Copy>>,
    closed: Notify,
}

struct Copy {
    /// UIDs, addresses, and the token of an email account.
    subjects: Vec<String>,
    fired: Instant,
    closed: Option<Happened>,
}

impl Ledger {
    pub fn note(&self, moment: &Moment<'_>) {
        let mut copies = self.copies.lock().unwrap();
        let key = (moment.sender, moment.copy);
        if moment.what == Happened::Fired {
            let copy = Copy { subjects: subjects(moment.event), fired: Instant::now(), closed: None };
            copies.insert(key, copy);
        } else if let Some(copy) = copies.get_mut(&key) {
            copy.closed = Some(moment.what);
            self.closed.notify_one();
        }
    }
}

fn subjects(event: &Value) -> Vec<String> {
    let places = [
        "/data/uid",
        "/data/newUid",
        "/data/emailAccountToken",
        "/EmailAddress",
        "/OldEmailAddress",
        "/info/to",
        "/info/subscriberKey",
    ];
    places.iter().filter_map(|place| event.pointer(place)?.as_str()).map(str::to_owned).collect()
}

/// Keeps an eye on a world.
pub struct Promise {
    outside: Arc<Outside>,
    people: Arc<Mutex<Vec<Person>>>,
    ledger: Arc<Ledger>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    broken: Option<Broken>,
    /// How each system has each person: whether they are out, and since when.
    seen: BTreeMap<(usize, usize), Seen>,
    outs: Vec<OutWritten>,
    /// When the gateway opted somebody in, in Gigya.
    brought: Vec<(usize, Instant)>,
    /// Whether what the gateway wrote last at a system took somebody out.
    last_written: BTreeMap<(usize, usize), bool>,
    exposed: BTreeMap<usize, Instant>,
    longest: Duration,
    last_call: Option<Instant>,
}

type Seen = Vec<(bool, Option<Timestamp>)>;

/// An opt-out or removal that the gateway wrote.
struct OutWritten {
    person: usize,
    /// The last instant that the system's record of it may mean.
    recorded: Timestamp,
    /// When the request arrived that it was written for.
    arrived: Instant,
}

/// How somebody must end.
enum Expected {
    In,
    Out,
    /// In or out, but the same everywhere.
    Equal,
    /// Mailed by nobody, whatever Gigya says.
    NotMailed,
    Anything,
}

impl Promise {
    pub fn new(outside: Arc<Outside>, people: Arc<Mutex<Vec<Person>>>, ledger: Arc<Ledger>) -> Self {
        Self { outside, people, ledger, state: Mutex::default() }
    }

    /// A call of the gateway took effect at a system: 0 is Gigya, 1 Campaign Monitor, 2 Marketing Cloud.
    pub fn effect(&self, system: usize, arrived: Instant) {
        let people = self.people.lock().unwrap();
        {
            let mut state = self.state();
            state.last_call = Some(Instant::now());
            for (number, person) in people.iter().enumerate() {
                let now = self.look(system, person);
                let before = state.seen.insert((system, number), now.clone()).unwrap_or_default();
                for (out, since) in now.into_iter().filter(|now| !before.contains(now)) {
                    state.last_written.insert((system, number), out);
                    if system == 0 && !out {
                        state.brought.push((number, Instant::now()));
                    }
                    if let (true, Some(recorded)) = (out, since) {
                        state.outs.push(OutWritten { person: number, recorded, arrived });
                    }
                }
            }
        }
        self.check(&people);
    }

    /// People acted: what changed by that isn't the gateway's doing.
    pub fn acted(&self) {
        let people = self.people.lock().unwrap();
        let mut state = self.state();
        for (number, person) in people.iter().enumerate() {
            for system in 0..3 {
                state.seen.insert((system, number), self.look(system, person));
            }
        }
    }

    /// Looks whenever a notice is through.
    pub async fn keep(self: Arc<Self>) {
        loop {
            self.ledger.closed.notified().await;
            self.check(&self.people.lock().unwrap());
        }
    }

    pub fn broken(&self) -> Result<(), Broken> {
        self.state().broken.clone().map_or(Ok(()), Err)
    }

    pub fn is_quiet_for(&self, time: Duration) -> bool {
        self.state().last_call.is_none_or(|last| last.elapsed() >= time)
    }

    pub fn webhooks(&self) -> u64 {
        self.ledger.copies.lock().unwrap().len() as u64
    }

    pub fn longest_exposure(&self) -> Duration {
        self.state().longest
    }

    /// How a system has somebody, under all their addresses: whether they are out, and since when.
    fn look(&self, system: usize, person: &Person) -> Seen {
        if system == 0 {
            let account = person.uid.as_ref().and_then(|uid| self.outside.gigya.account(uid));
            let subscriptions = account.map(|account| account.subscriptions).unwrap_or_default();
            return subscriptions
                .into_iter()
                .filter(|(id, ..)| id == NEWSLETTER)
                .map(|(_, subscribed, since)| (!subscribed, Some(since)))
                .collect();
        }
        let slug = if system == 1 { "campaign-monitor" } else { "marketing-cloud" };
        let Some(esp) = self.outside.esps.iter().position(|esp| esp.slug() == slug) else { return Vec::new() };
        let held = person.addresses.iter().flat_map(|address| self.outside.esps[esp].at(address));
        held.map(|held| (!held.is_mailed(), held.since.map(|since| counts_until(since, &self.outside, esp)))).collect()
    }

    /// What must hold at every instant.
    fn check(&self, people: &[Person]) {
        for (number, person) in people.iter().enumerate() {
            let exposed = self.exposed(person);
            let mut state = self.state();
            match exposed {
                Exposed::No => {
                    if let Some(since) = state.exposed.remove(&number) {
                        state.longest = state.longest.max(since.elapsed());
                    }
                }
                Exposed::ByOlderNotice => {
                    state.exposed.entry(number).or_insert_with(Instant::now);
                }
                Exposed::ByNothing(esp) => {
                    let what = format!(
                        "{} is mailed by {esp} although their opt-out was delivered, and no older notice is on its way",
                        person.name
                    );
                    state.broken.get_or_insert(Broken(what));
                }
            }
        }
    }

    fn exposed(&self, person: &Person) -> Exposed {
        let Some(said) = person.last_said() else { return Exposed::No };
        let is_gone = match said.what {
            Saying::In | Saying::InByForm => return Exposed::No,
            Saying::Out => true,
            Saying::Inactive => !person.is_active(&self.outside),
            Saying::Deleted => true,
        };
        let is_that = |other: &&Said| other.at == said.at && other.what == said.what;
        let mut since = person.said.iter().skip_while(|other| !is_that(other)).skip(1);
        let opted_in_since = since.any(|later| later.what.is_in());
        let has_anothers_word = person.came_back && person.in_gigya(&self.outside) == Some(true);
        let is_lost = person.became_another_at(&said, &self.outside);
        if !is_gone || opted_in_since || has_anothers_word || is_lost {
            return Exposed::No;
        }
        // Another account's address becomes theirs when the gateway gets to know of the merge.
        let own_addresses = || person.addresses.iter().filter(|address| !person.merged.contains(address));
        let mailed = self.outside.esps.iter().enumerate().filter(|(_, esp)| {
            let is_told = said.what != Saying::Deleted || self.tells_of_deleted(person, esp.slug());
            is_told && own_addresses().any(|address| esp.mails(address))
        });
        let by: Vec<_> = mailed.map(|(esp, there)| (self.why(person, &said, esp), there.name())).collect();
        if let Some((_, name)) = by.iter().find(|(why, _)| *why == Why::Nothing) {
            return Exposed::ByNothing(name);
        }
        if by.iter().any(|(why, _)| *why == Why::OlderNotice) { Exposed::ByOlderNotice } else { Exposed::No }
    }

    /// Why somebody is mailed by an ESP who said no.
    fn why(&self, person: &Person, said: &Said, esp: usize) -> Why {
        let copies = self.ledger.copies.lock().unwrap();
        let theirs: Vec<_> = copies.iter().filter(|(_, copy)| self.is_about(copy, person)).collect();
        let is_from_gigya = |sender: &str| sender == "Gigya";
        // What was said at another ESP comes here by Gigya, which tells of it once it has it.
        if said.system != 0 && said.system != esp + 1 {
            let told = theirs.iter().filter(|((sender, _), copy)| is_from_gigya(sender) && copy.fired >= said.at);
            let is_told = told.clone().count() > 0 && told.clone().all(|(_, copy)| copy.closed.is_some());
            if person.in_gigya(&self.outside) == Some(true) || !is_told {
                return Why::NotDelivered;
            }
        }
        let waits = self.waits_about(person);
        if waits.iter().any(|since| *since > said.at) {
            return Why::NotDelivered;
        }
        let is_delivered = theirs.iter().any(|(_, copy)| copy.fired >= said.at && copy.closed == Some(Happened::Taken));
        let is_older = |copy: &Copy| copy.fired <= said.at || person.moved_there;
        let is_older_open = !waits.is_empty() || theirs.iter().any(|(_, copy)| is_older(copy) && copy.closed.is_none());
        match (is_delivered, is_older_open) {
            (false, _) => Why::NotDelivered,
            (true, true) => Why::OlderNotice,
            (true, false) => Why::Nothing,
        }
    }

    fn is_about(&self, copy: &Copy, person: &Person) -> bool {
        copy.subjects.iter().any(|subject| self.is_of(subject, person))
    }

    fn is_of(&self, subject: &str, person: &Person) -> bool {
        person.is(subject) || self.outside.gigya.address_of_token(subject).is_some_and(|address| person.is(&address))
    }

    /// When events about somebody were written down that are still to be finished.
    fn waits_about(&self, person: &Person) -> Vec<Instant> {
        let journal = self.outside.journal.as_ref();
        journal.map(|journal| journal.waits_about(|subject| self.is_of(subject, person))).unwrap_or_default()
    }

    /// Whether the gateway can know where a deleted account's subscriber is: by the UID, or from an index that still has it.
    /// An address that was changed at the ESP alone is known to nobody else.
    fn tells_of_deleted(&self, person: &Person, slug: &str) -> bool {
        let is_known = self.outside.place.keeps_deleted || (self.outside.journal.is_some() && !person.used_a_form());
        slug == "marketing-cloud" || (is_known && !person.moved_there)
    }

    /// What must hold in the end.
    pub fn at_rest(&self) -> Result<(), Broken> {
        self.broken()?;
        let people = self.people.lock().unwrap();
        for (number, person) in people.iter().enumerate() {
            self.ends_well(number, person).map_err(|what| Broken(format!("{} {what}", person.name)))?;
        }
        Ok(())
    }

    fn ends_well(&self, number: usize, person: &Person) -> Result<(), String> {
        let here = person.is_in(&self.outside);
        let said = person.last_said();
        let expected = self.expected(number, person);
        for esp in &self.outside.esps {
            let name = esp.name();
            if said.is_some_and(|said| said.what == Saying::Deleted) && !self.tells_of_deleted(person, esp.slug()) {
                continue;
            }
            let there = esp.mails(person.address());
            let fail = |what: String| Err(format!("{what} (Gigya: {}, {name}: {})", in_or_out(here), in_or_out(there)));
            match expected {
                Expected::In if !here => return fail("last opted in, and is out in Gigya".to_owned()),
                Expected::In if !there => return fail(format!("last opted in, and isn't mailed by {name}")),
                Expected::Out if here => return fail("last opted out, and is in in Gigya".to_owned()),
                Expected::Out if there => return fail(format!("last opted out, and is mailed by {name}")),
                Expected::NotMailed if there => return fail(format!("said no, and is mailed by {name}")),
                Expected::Equal if here != there => return fail("isn't the same everywhere".to_owned()),
                _ => {}
            }
            if matches!(expected, Expected::Out) && self.is_without_receipt(number, person, &**esp) {
                return fail("was opted out, and no receipt tells of it".to_owned());
            }
            let elsewhere = person.addresses.iter().rev().skip(1).find(|address| esp.mails(address));
            // A call that was given up may land when the subscriber has moved on. A journal knows where to look for it.
            let may_be_late = here && self.outside.place.slow > 0.0 && self.outside.journal.is_none();
            if let (Some(elsewhere), false) = (elsewhere, may_be_late || matches!(expected, Expected::Anything)) {
                return fail(format!("is mailed at an old address, {elsewhere}"));
            }
        }
        Ok(())
    }

    /// Whether the last thing that the gateway did to somebody at an ESP was to take them out, and the journal doesn't say so.
    fn is_without_receipt(&self, number: usize, person: &Person, esp: &dyn SimulatedEsp) -> bool {
        let Some(journal) = &self.outside.journal else { return false };
        let (system, part) = if esp.slug() == "campaign-monitor" { (1, "news/") } else { (2, "crm/") };
        let was_taken_out = self.state().last_written.get(&(system, number)) == Some(&true);
        was_taken_out && !journal.has_receipt(part, |subject| person.is(subject))
    }

    fn expected(&self, number: usize, person: &Person) -> Expected {
        let Some(said) = person.last_said() else { return Expected::Out };
        match said.what {
            _ if person.became_another_at(&said, &self.outside) => Expected::Anything,
            // That a time is told by the day makes an opt-out of before count against an opt-in of an account that it isn't of.
            Saying::Out if person.is_new && person.said.last().is_some_and(|last| last.what.is_in()) => {
                Expected::Anything
            }
            // Whether the removal was done depends on when its webhook came; it may have been an opt-out or a deletion.
            Saying::Inactive if person.is_active(&self.outside) => {
                let own = person.said.iter().rev().find(|said| said.what != Saying::Inactive);
                if own.is_some_and(|own| own.what != Saying::Out) { Expected::Anything } else { Expected::NotMailed }
            }
            // The address has its own subscriptions in Gigya, from before it was left.
            _ if person.came_back && person.in_gigya(&self.outside) == Some(true) => Expected::Anything,
            Saying::Out | Saying::Inactive | Saying::Deleted if person.came_back || person.left_at_once() => {
                Expected::NotMailed
            }
            _ if person.came_back || person.left_at_once() => Expected::Anything,
            // As a removal isn't told to Gigya, that one may still say so.
            Saying::Out if person.was_removed() && person.said.last().is_some_and(|last| last.what.is_in()) => {
                Expected::NotMailed
            }
            // That an opt-out may have been later isn't known anymore under another UID.
            Saying::Out if person.uids.len() > 1 && person.said.last().is_some_and(|last| last.what.is_in()) => {
                Expected::Equal
            }
            Saying::Out | Saying::Inactive | Saying::Deleted => Expected::Out,
            Saying::In | Saying::InByForm if !person.is_active(&self.outside) => Expected::Out,
            // A removal isn't told to Gigya.
            Saying::In | Saying::InByForm if self.is_excused(number, &said) && person.was_removed() => {
                Expected::Anything
            }
            Saying::In | Saying::InByForm if self.is_excused(number, &said) => Expected::Equal,
            // The merged account's own removal may have been done first, and looks like an opt-out.
            Saying::In if !person.merged.is_empty() => Expected::Equal,
            Saying::In if person.moved_there => Expected::Equal,
            // Their old UID is gone, and what it had at an address that they left may be taken for nobody's, and removed.
            Saying::In if person.became_another() => Expected::Equal,
            Saying::In if self.may_be_taken_for_an_earlier_one(number, person, &said) => Expected::Equal,
            Saying::In | Saying::InByForm => Expected::In,
        }
    }

    /// Whether an opt-in by a form was brought to Gigya so shortly before that the gateway may take this one for that: the
    /// tag that it leaves is told from others by the time. Or all day, where times are told by the day.
    fn may_be_taken_for_an_earlier_one(&self, number: usize, person: &Person, said: &Said) -> bool {
        let brought = |at: &Instant| *at <= said.at && said.at - *at <= TAG_TOLERANCE;
        let tagged = self.state().brought.iter().any(|(person, at)| *person == number && brought(at));
        let form = |form: &Said| form.what == Saying::InByForm && brought(&form.at);
        tagged || person.said.iter().any(form) || (person.used_a_form() && self.outside.place.coarse)
    }

    /// Whether an opt-out was being written when they opted in, and counts as newer by the times that were recorded.
    fn is_excused(&self, number: usize, said: &Said) -> bool {
        let outs = &self.state().outs;
        outs.iter().any(|out| {
            let is_concurrent = out.arrived <= said.at || said.what == Saying::InByForm;
            out.person == number && out.recorded >= said.recorded && is_concurrent
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    NotDelivered,
    /// A notice that is older than the opt-out is still worked on, or waits.
    OlderNotice,
    Nothing,
}

const fn in_or_out(is_in: bool) -> &'static str {
    if is_in { "in" } else { "out" }
}

enum Exposed {
    No,
    ByOlderNotice,
    ByNothing(&'static str),
}
