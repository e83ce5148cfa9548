//! What a world is like and what happens in it, as data: made from a seed, told as a story, cut down when it fails.

use fastrand::Rng;
use gigya_esp_gateway::sandbox::Esps;
use std::fmt;
use std::time::Duration;

/// A world before it begins.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What the network's and the simulators' chances follow from.
    pub chances: u64,
    pub place: Place,
    pub people: usize,
    pub steps: Vec<Step>,
}

/// The kind of world.
#[derive(Clone, Debug)]
pub struct Place {
    pub esps: Esps,
    /// A publication list at Marketing Cloud; else everybody there, with a data extension.
    pub publication_list: bool,
    /// Webhooks of version 2.0, signed by token; else 1.1, by HMAC.
    pub tokens: bool,
    /// People may subscribe by a form of Campaign Monitor.
    pub accept_opt_ins: bool,
    /// Opt-ins in Gigya must be confirmed.
    pub double_opt_in: bool,
    /// Campaign Monitor tells days, not seconds.
    pub coarse: bool,
    /// A deactivated account's subscriber is opted out, not deleted.
    pub keep_removed: bool,
    /// How far each system's clock is ahead, in seconds: Gigya, Campaign Monitor, Marketing Cloud; then the replicas.
    pub clocks: [i64; 5],
    pub replicas: usize,
    /// The share of calls to a system that fail while it storms.
    pub storm: f64,
    /// The share of calls, both ways, that travel for seconds.
    pub slow: f64,
    /// The share of webhook requests that are sent twice.
    pub twice: f64,
    /// How long webhooks are held back at random.
    pub shuffle: Duration,
    pub batch: usize,
    pub nested: bool,
    /// Gigya's search finds for long what was deleted; else for two seconds.
    pub keeps_deleted: bool,
    /// The journal that the replicas share, if they have one.
    pub journal: Option<Journal>,
}

/// A world with a journal.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Nothing else leads to an address of before: the list has no field for the UID, and Gigya forgets what an account had.
    pub alone_knows: bool,
    /// What isn't done at the deadline is written down and answered 2xx.
    pub on_deadline: bool,
    /// The share of its calls that fail.
    pub fails: f64,
    /// The share of its calls that take long.
    pub slow: f64,
}

/// Something that happens, a while after what was before.
#[derive(Clone, Debug)]
pub struct Step {
    pub after: Duration,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Person(usize, Act),
    /// A replica's process is killed, and another one starts in its place.
    Kill(usize),
    /// Calls begin to fail, or cease to.
    Storm(bool),
    /// A system's webhooks are held back, or let go: 0 is Gigya, then the ESPs.
    Hold(usize, bool),
    /// The journal can't be used, or can again.
    Outage(bool),
}

/// What a person does, or what happens to their account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    OptIn,
    OptOut,
    /// Confirms the opt-in.
    Confirm,
    /// Follows the unsubscribe link in a mail of the first or second ESP.
    Link(usize),
    /// Subscribes by a form of Campaign Monitor.
    Form,
    Profile,
    Move,
    /// Takes back the address before.
    MoveBack,
    Deactivate,
    Activate,
    Delete,
    /// Signs up again, with the same address.
    Return,
    /// Makes a second account, with another address, and opts in there.
    Second,
    /// The second account is merged into the first.
    Merge,
    NewUid,
    /// Changes the address in Campaign Monitor's preference centre. Gigya's is what counts.
    MoveThere,
    /// A lite account becomes a full one.
    Progress,
}

pub const NAMES: [&str; 4] = ["ann", "ben", "cleo", "dan"];

impl Scenario {
    /// The world of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x51_7c_c1_b7);
        // What was added later has chances of its own, so that a seed's steps stay what they were.
        let mut of_journal = Rng::with_seed(seed ^ 0x6a_6f_75_72_6e_61_6c);
        let place = Place { journal: Journal::any(&mut of_journal), ..Place::any(&mut chance) };
        let people = chance.usize(1..=3);
        let length = chance.usize(3..=24);
        let mut steps = Vec::new();
        while steps.len() < length {
            if chance.u8(0..8) == 0 {
                steps.extend(burst(&mut chance, &place, people));
            } else {
                steps.push(Step::any(&mut chance, &place, people));
            }
        }
        if place.journal.is_some() {
            add_outages(&mut of_journal, &mut steps);
        }
        Self { chances: chance.u64(..), place, people, steps }
    }
}

impl Place {
    /// What the gateway is told of how far the systems' clocks are apart, in seconds.
    pub fn clocks_may_differ(&self) -> i64 {
        if self.clocks[..3] == [0; 3] { 0 } else { 10 }
    }

    /// Whether strangers become lite accounts: in every other world where opt-ins at the ESP count, without drawing, so that all other
    /// worlds stay the same.
    pub const fn creates_lite_accounts(&self) -> bool {
        self.accept_opt_ins && self.nested
    }

    fn any(chance: &mut Rng) -> Self {
        let esps = [Esps::CampaignMonitor, Esps::CampaignMonitor, Esps::MarketingCloud, Esps::Both][chance.usize(0..4)];
        let accept_opt_ins = esps == Esps::CampaignMonitor && chance.u8(0..3) == 0;
        let mut offset = || if chance.bool() { 0 } else { chance.i64(-5..=5) };
        let clocks = [offset(), offset(), offset(), offset(), offset()];
        Self {
            esps,
            publication_list: chance.u8(0..3) == 0,
            tokens: chance.bool(),
            accept_opt_ins,
            double_opt_in: chance.u8(0..4) == 0,
            coarse: chance.u8(0..5) == 0,
            keep_removed: chance.bool(),
            clocks,
            replicas: chance.usize(1..=2),
            storm: [0.05, 0.15, 0.3][chance.usize(0..3)],
            slow: [0.0, 0.05, 0.2][chance.usize(0..3)],
            twice: [0.0, 0.2][chance.usize(0..2)],
            shuffle: Duration::from_millis([0, 300, 3_000][chance.usize(0..3)]),
            batch: [1, 3, 100][chance.usize(0..3)],
            nested: chance.bool(),
            keeps_deleted: chance.bool(),
            journal: None,
        }
    }
}

impl Journal {
    /// Every other world has one.
    fn any(chance: &mut Rng) -> Option<Self> {
        chance.bool().then(|| Self {
            alone_knows: chance.u8(0..3) > 0,
            on_deadline: chance.bool(),
            fails: [0.0, 0.02, 0.1][chance.usize(0..3)],
            slow: [0.0, 0.05, 0.2][chance.usize(0..3)],
        })
    }
}

/// The journal fails for a while, now and then; and addresses change more often, as that is what it is for.
fn add_outages(chance: &mut Rng, steps: &mut Vec<Step>) {
    let any = |chance: &mut Rng| Duration::from_millis(chance.u64(0..2_000));
    for at in (0..steps.len()).rev() {
        let what = match (&steps[at].what, chance.u8(0..16)) {
            (_, 0) => What::Outage(chance.bool()),
            (What::Person(who, _), 1..3) => What::Person(*who, Act::Move),
            (What::Person(who, _), 3) => What::Person(*who, [Act::Delete, Act::Merge, Act::NewUid][chance.usize(0..3)]),
            (What::Person(who, _), 4) => What::Person(*who, Act::Return),
            _ => continue,
        };
        let after = any(chance);
        steps.insert(at + 1, Step { after, what });
    }
}

/// One person says one thing and then another before the first is through, and maybe a replica is killed at it.
fn burst(chance: &mut Rng, place: &Place, people: usize) -> Vec<Step> {
    let who = chance.usize(0..people);
    let first = if place.accept_opt_ins && chance.bool() {
        Act::Form
    } else {
        [Act::OptIn, Act::OptOut, Act::MoveThere][chance.usize(0..3)]
    };
    let second =
        [Act::OptIn, Act::OptOut, Act::OptOut, Act::Link(chance.usize(0..2)), Act::Profile][chance.usize(0..5)];
    let mut whats = vec![What::Person(who, first), What::Person(who, second)];
    if chance.bool() {
        whats.push(What::Kill(chance.usize(0..place.replicas)));
    }
    let step = |what| Step { after: Duration::from_millis(chance.u64(0..250)), what };
    whats.into_iter().map(step).collect()
}

impl Step {
    fn any(chance: &mut Rng, place: &Place, people: usize) -> Self {
        let after = match chance.u8(0..20) {
            0..11 => Duration::from_millis(chance.u64(0..250)),
            11..16 => Duration::from_millis(chance.u64(250..3_000)),
            16..19 => Duration::from_secs(chance.u64(3..60)),
            _ => Duration::from_mins(chance.u64(6..10)),
        };
        let what = match chance.u8(0..20) {
            0 => What::Kill(chance.usize(0..place.replicas)),
            1 => What::Storm(chance.bool()),
            2 => What::Hold(chance.usize(0..3), chance.bool()),
            _ => What::Person(chance.usize(0..people), Act::any(chance, place)),
        };
        Self { after, what }
    }
}

impl Act {
    fn any(chance: &mut Rng, place: &Place) -> Self {
        match chance.u8(0..41) {
            0..10 => Self::OptIn,
            10..16 => Self::OptOut,
            16..18 if place.double_opt_in => Self::Confirm,
            16..18 => Self::OptIn,
            18..24 => Self::Link(chance.usize(0..2)),
            24..26 if place.accept_opt_ins => Self::Form,
            24..28 => Self::Profile,
            28..30 => Self::Move,
            30 => Self::MoveBack,
            31 => Self::Deactivate,
            32 => Self::Activate,
            33 => Self::Delete,
            34..36 => Self::Return,
            36 => Self::Second,
            37 => Self::Merge,
            38 => Self::NewUid,
            39 => Self::MoveThere,
            _ => Self::Progress,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(who, act) => write!(f, "{} {act}", NAMES[*who]),
            Self::Kill(replica) => write!(f, "replica {replica} is killed, and another starts in its place"),
            Self::Storm(true) => write!(f, "calls to all systems begin to fail now and then"),
            Self::Storm(false) => write!(f, "calls no longer fail"),
            Self::Hold(system, true) => write!(f, "webhooks of system {system} are held back"),
            Self::Hold(system, false) => write!(f, "webhooks of system {system} are let go"),
            Self::Outage(true) => write!(f, "the journal fails"),
            Self::Outage(false) => write!(f, "the journal can be used again"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OptIn => "opts in, in Gigya",
            Self::OptOut => "opts out, in Gigya",
            Self::Confirm => "confirms the opt-in",
            Self::Link(0) => "follows the unsubscribe link in a mail of the first ESP",
            Self::Link(_) => "follows the unsubscribe link in a mail of the second ESP",
            Self::Form => "subscribes by a form of Campaign Monitor",
            Self::Profile => "changes something in the profile",
            Self::Move => "gets a new address, in Gigya",
            Self::MoveBack => "gets the address back that was before",
            Self::Deactivate => "is deactivated",
            Self::Activate => "is activated again",
            Self::Delete => "is deleted from Gigya",
            Self::Return => "signs up again",
            Self::Second => "makes a second account and opts in there",
            Self::Merge => "has the second account merged into the first",
            Self::NewUid => "gets another UID",
            Self::MoveThere => "changes the address at Campaign Monitor",
            Self::Progress => "completes a lite account",
        })
    }
}
