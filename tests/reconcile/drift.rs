//! Many people, on both sides, in every state; some of them drifted apart. They go on acting while both sides are compared and
//! healed. Afterwards both sides are the same, and everybody is mailed or isn't as they said last.
//!
//! A million: `RECONCILE_PEOPLE=1000000 cargo test --release --locked --test reconcile drift`.

use crate::town::{FREELY, NEWSLETTER, Town, compared, found};
use gigya_esp_gateway::forward::Difference;
use gigya_esp_gateway::reconcile;
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::{State, StockedSubscriber};
use gigya_esp_gateway::sandbox::gigya::StockedAccount;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How many, if nobody says otherwise.
const PEOPLE: usize = 2_000;
/// One in so many differs in each way; of few people more do.
const ONE_IN: usize = 200;
/// The most who act meanwhile.
const ACTING: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    In,
    Out,
    Never,
    Stranger,
    Differs(Difference),
}

const WAYS: [Difference; 8] = [
    Difference::Missing,
    Difference::LateOptOut,
    Difference::UntoldOptOut,
    Difference::Inactive,
    Difference::Orphan,
    Difference::WrongAddress,
    Difference::WrongFields,
    Difference::LateOptIn,
];

/// Everybody, made from a seed.
pub struct Crowd {
    kinds: Vec<Kind>,
    now: Timestamp,
}

impl Crowd {
    pub fn new(people: usize, seed: u64, now: Timestamp) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let one_in = ONE_IN.min(people / 20);
        let kinds = (0..people).map(|_| match chance.usize(0..one_in) {
            way if way < WAYS.len() => Kind::Differs(WAYS[way]),
            8 => Kind::Stranger,
            _ => match chance.usize(0..10) {
                0..7 => Kind::In,
                7..9 => Kind::Out,
                _ => Kind::Never,
            },
        });
        Self { kinds: kinds.collect(), now }
    }

    fn days_ago(&self, days: i64) -> Timestamp {
        self.now - SignedDuration::from_hours(24 * days)
    }

    pub fn stock(&self, town: &Town) {
        let (newsletter, first_name): (Arc<str>, Arc<str>) = (NEWSLETTER.into(), "firstName".into());
        let people = || self.kinds.iter().copied().enumerate();
        town.sandbox.gigya.stock(people().filter_map(|(person, kind)| {
            let subscribed = self.in_gigya(kind)?;
            Some(StockedAccount {
                uid: uid(person).into(),
                email: address_in_gigya(person, kind),
                is_lite: person % 7 == 0,
                is_active: kind != Kind::Differs(Difference::Inactive),
                profile: vec![(Arc::clone(&first_name), format!("Name {person}").into())],
                subscriptions: subscribed.map(|(is, at)| (Arc::clone(&newsletter), is, at)).into_iter().collect(),
                at: self.days_ago(400),
            })
        }));
        let (uid_field, name_field): (Arc<str>, Arc<str>) = ("GigyaUID".into(), "First Name".into());
        town.sandbox.campaign_monitor.stock(
            &town.sandbox.list,
            people().filter_map(|(person, kind)| {
                let (state, changed) = self.at_the_esp(kind)?;
                let name = match kind {
                    Kind::Differs(Difference::WrongFields) => "Nobody".to_owned(),
                    _ => format!("Name {person}"),
                };
                let mut fields = vec![(Arc::clone(&name_field), name)];
                if kind != Kind::Stranger {
                    fields.push((Arc::clone(&uid_field), uid(person)));
                }
                Some(StockedSubscriber { email: address(person), name: String::new(), state, changed, fields })
            }),
        );
    }

    /// What Gigya has: no account; an account without a word; opted in or out, since when.
    #[expect(clippy::option_option, reason = "an account, and what it says")]
    fn in_gigya(&self, kind: Kind) -> Option<Option<(bool, Timestamp)>> {
        Some(match kind {
            Kind::Stranger | Kind::Differs(Difference::Orphan) => return None,
            Kind::Never => None,
            Kind::Out => Some((false, self.days_ago(200))),
            Kind::Differs(Difference::LateOptOut) => Some((false, self.days_ago(100))),
            Kind::Differs(Difference::LateOptIn) => Some((true, self.days_ago(100))),
            Kind::In | Kind::Differs(_) => Some((true, self.days_ago(300))),
        })
    }

    fn at_the_esp(&self, kind: Kind) -> Option<(State, Timestamp)> {
        Some(match kind {
            Kind::Never | Kind::Differs(Difference::Missing) => return None,
            Kind::Out | Kind::Differs(Difference::LateOptIn) => (State::Unsubscribed, self.days_ago(200)),
            Kind::Differs(Difference::UntoldOptOut) => (State::Unsubscribed, self.days_ago(100)),
            Kind::In | Kind::Stranger | Kind::Differs(_) => (State::Active, self.days_ago(300)),
        })
    }

    /// How many differ in each way.
    fn differing(&self) -> Vec<(Difference, u64)> {
        let count = |difference| {
            let is_it = |kind: &&Kind| {
                **kind == Kind::Differs(difference) || (**kind == Kind::Stranger && difference == Difference::Stranger)
            };
            self.kinds.iter().filter(is_it).count() as u64
        };
        let all = Difference::ALL.into_iter().map(|difference| (difference, count(difference)));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// The same, by the names that the command says.
pub fn differing(crowd: &Crowd) -> Vec<(String, u64)> {
    crowd.differing().into_iter().map(|(difference, count)| (difference.label().to_owned(), count)).collect()
}

/// What somebody does meanwhile.
#[derive(Clone, Copy, Debug)]
enum Act {
    OptOutInGigya,
    UnsubscribeLink,
    OptIn,
    Deactivate,
    Move,
}

/// Who acts, and how; each of them once.
fn acts(crowd: &Crowd, seed: u64) -> HashMap<usize, Act> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let wanted = (crowd.kinds.len() / 10).min(ACTING);
    let mut acts = HashMap::new();
    while acts.len() < wanted {
        let person = chance.usize(0..crowd.kinds.len());
        let act = match crowd.kinds[person] {
            Kind::In => [Act::OptOutInGigya, Act::UnsubscribeLink, Act::Deactivate, Act::Move][chance.usize(0..4)],
            Kind::Out | Kind::Differs(Difference::LateOptOut) => Act::OptIn,
            // Whoever is loaded, undone or told at this very moment.
            Kind::Differs(Difference::Missing | Difference::LateOptIn | Difference::UntoldOptOut) => Act::OptOutInGigya,
            _ => continue,
        };
        acts.insert(person, act);
    }
    acts
}

async fn let_them_act(town: &Town, acts: &HashMap<usize, Act>) {
    let gigya = &town.sandbox.gigya;
    for (number, (person, act)) in acts.iter().enumerate() {
        let uid = uid(*person);
        match act {
            Act::OptOutInGigya => gigya.unsubscribe(&uid, NEWSLETTER),
            Act::UnsubscribeLink => {
                town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address(*person));
            }
            Act::OptIn => gigya.subscribe(&uid, NEWSLETTER),
            Act::Deactivate => gigya.set_active(&uid, false),
            Act::Move => gigya.change_email(&uid, &moved(*person)),
        }
        if number % 50 == 0 {
            town.sandbox.deliver_to(number / 50 % 2);
        }
        // As fast as their webhooks are taken, and no faster.
        let few = || gigya.courier().pending() + town.sandbox.campaign_monitor.courier().pending() < 20;
        while !few() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drifted_sides_are_the_same_again_while_everybody_goes_on_acting() {
    let people = std::env::var("RECONCILE_PEOPLE").map_or(PEOPLE, |people| people.parse().unwrap());
    let seed = std::env::var("RECONCILE_SEED").map_or(7, |seed| seed.parse().unwrap());
    let town = Town::with_gateway(Setup { replicas: 2, ..Setup::default() }).await;
    let crowd = Crowd::new(people, seed, town.sandbox.clock.now());
    crowd.stock(&town);
    let gateway = town.gateway();
    let (plan, mut tally) = compared(&gateway, &Town::scope()).await.unwrap();
    eprintln!("{} accounts, {} subscribers, {} calls", tally.accounts, tally.subscribers, tally.calls);
    assert_eq!(found(&tally), crowd.differing(), "what was found");
    let pages = (tally.accounts + tally.subscribers).div_ceil(1000);
    assert!(tally.calls <= pages + 10, "{} calls to read {pages} pages", tally.calls);

    let acts = acts(&crowd, seed);
    let stop = CancellationToken::new();
    let (healed, ()) = tokio::join!(
        reconcile::heal(&gateway, plan, &FREELY, &mut tally, "drift", &stop, &|_| {}),
        let_them_act(&town, &acts),
    );
    healed.unwrap();
    eprintln!("{:#?}", tally.healed);
    assert_eq!(tally.left, 0, "{:?}", tally.healed);
    assert!(town.sandbox.settled(Duration::from_mins(10)).await, "webhooks are never done");
    // An account that was moved or deactivated meanwhile is healed by its webhook, or by the next run, where there is no journal.
    town.heal().await;
    assert!(town.sandbox.settled(Duration::from_mins(10)).await, "webhooks are never done");

    let strangers = crowd.kinds.iter().filter(|kind| **kind == Kind::Stranger).count() as u64;
    assert_eq!(found(&town.differs().await), [(Difference::Stranger, strangers)]);
    everybody_has_what_they_said(&town, &crowd, &acts);
}

fn everybody_has_what_they_said(town: &Town, crowd: &Crowd, acts: &HashMap<usize, Act>) {
    let mut mailed = std::collections::HashSet::new();
    town.sandbox.campaign_monitor.for_each_subscriber(&town.sandbox.list, |address, state, _| {
        if state == State::Active {
            mailed.insert(address.to_owned());
        }
    });
    let mut wanted = 0;
    for (person, kind) in crowd.kinds.iter().copied().enumerate() {
        let act = acts.get(&person);
        let wants = match act {
            Some(Act::OptOutInGigya | Act::UnsubscribeLink | Act::Deactivate) => None,
            Some(Act::OptIn) => Some(address_in_gigya(person, kind)),
            Some(Act::Move) => Some(moved(person)),
            None => match kind {
                Kind::In | Kind::Stranger => Some(address(person)),
                Kind::Differs(
                    Difference::Missing | Difference::WrongAddress | Difference::WrongFields | Difference::LateOptIn,
                ) => Some(address_in_gigya(person, kind)),
                Kind::Out | Kind::Never | Kind::Differs(_) => None,
            },
        };
        // The opt-out of long ago is written at the ESP as of now: whoever opts in in this very second is out in doubt, on both
        // sides.
        let is_in_doubt = kind == Kind::Differs(Difference::LateOptOut) && act.is_some();
        let wants = wants.filter(|address| !is_in_doubt || mailed.contains(address));
        for address in [address(person), address_in_gigya(person, kind), moved(person)] {
            let is_mailed = mailed.contains(&address);
            assert_eq!(is_mailed, wants.as_ref() == Some(&address), "person {person}: {kind:?}, {act:?}");
        }
        wanted += usize::from(wants.is_some());
        let opted_out_there = matches!(act, Some(Act::UnsubscribeLink))
            || (act.is_none() && kind == Kind::Differs(Difference::UntoldOptOut));
        if opted_out_there {
            assert_eq!(town.gigya(&uid(person)), Some(false), "person {person}: Gigya doesn't know");
        }
    }
    assert_eq!(mailed.len(), wanted);
}

fn uid(person: usize) -> String {
    format!("{person:032x}")
}

fn address(person: usize) -> String {
    format!("person-{person}@example.org")
}

fn moved(person: usize) -> String {
    format!("moved-{person}@example.org")
}

fn address_in_gigya(person: usize, kind: Kind) -> String {
    match kind {
        Kind::Differs(Difference::WrongAddress) => format!("new-{person}@example.org"),
        _ => address(person),
    }
}
