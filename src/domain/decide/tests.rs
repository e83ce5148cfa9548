//! Every pair of what is wanted and what is there, and the laws that hold for all of them.

use super::*;
use jiff::Timestamp;
use proptest::prelude::*;

const KINDS: [RemovalKind; 3] = [RemovalKind::Delete, RemovalKind::Unsubscribe, RemovalKind::Suppress];
const REASONS: [OptOutReason; 6] = [
    OptOutReason::Unsubscribed,
    OptOutReason::Complained,
    OptOutReason::Bounced,
    OptOutReason::Deleted,
    OptOutReason::Suppressed,
    OptOutReason::Other,
];

fn second(second: i64) -> ActedAt {
    ActedAt::exactly(Timestamp::from_second(second).unwrap())
}

fn between(first: i64, last: i64) -> ActedAt {
    ActedAt::between(Timestamp::from_second(first).unwrap(), Timestamp::from_second(last).unwrap())
}

fn opted_in(since: ActedAt) -> Consent {
    Consent::OptedIn { since }
}

fn pending(since: ActedAt) -> Consent {
    Consent::Pending { since }
}

fn opted_out(since: ActedAt) -> Consent {
    Consent::OptedOut { since, reason: OptOutReason::Unsubscribed }
}

fn wants(consent: Consent) -> Desired {
    Desired::Consent(consent)
}

#[test]
fn every_case() {
    use Decision::{Keep, OptIn, OptOut, Refuse};
    const OVER: Decision = OptIn { over_opt_out: true };
    const FIRST: Decision = OptIn { over_opt_out: false };
    let unknown = Consent::Unknown;
    let never = ActedAt::UNKNOWN;
    #[rustfmt::skip]
    let table = [
        // What is wanted           what is there            what to do
        (unknown,                   unknown,                 Refuse(Reason::NeverSubscribed)),
        (unknown,                   opted_in(second(5)),     Refuse(Reason::NeverSubscribed)),
        (unknown,                   opted_out(second(5)),    Refuse(Reason::NeverSubscribed)),

        // An opt-in
        (opted_in(second(5)),       unknown,                 FIRST),
        (opted_in(never),           unknown,                 FIRST),
        (opted_in(second(5)),       opted_in(second(4)),     Keep),
        (opted_in(second(5)),       opted_in(second(6)),     Keep),
        (opted_in(second(5)),       pending(second(4)),      Keep),
        (opted_in(second(5)),       opted_out(second(4)),    OVER),
        (opted_in(second(5)),       opted_out(second(5)),    Refuse(Reason::NewerOptOut)),
        (opted_in(second(5)),       opted_out(second(6)),    Refuse(Reason::NewerOptOut)),
        (opted_in(never),           opted_out(second(1)),    Refuse(Reason::NewerOptOut)),
        (opted_in(second(5)),       opted_out(never),        Refuse(Reason::NewerOptOut)),
        (opted_in(never),           opted_out(never),        Refuse(Reason::NewerOptOut)),
        // ... against a coarse opt-out: its last instant counts
        (opted_in(second(5)),       opted_out(between(0, 9)), Refuse(Reason::NewerOptOut)),
        (opted_in(second(9)),       opted_out(between(0, 9)), Refuse(Reason::NewerOptOut)),
        (opted_in(second(10)),      opted_out(between(0, 9)), OVER),
        // ... a coarse opt-in: its first instant counts
        (opted_in(between(0, 9)),   opted_out(second(0)),    Refuse(Reason::NewerOptOut)),
        (opted_in(between(1, 9)),   opted_out(second(0)),    OVER),

        // An opt-out
        (opted_out(second(5)),      unknown,                 OptOut),
        (opted_out(second(5)),      opted_out(second(4)),    Keep),
        (opted_out(second(5)),      opted_out(second(6)),    Keep),
        (opted_out(second(5)),      opted_in(second(4)),     OptOut),
        (opted_out(second(5)),      opted_in(second(5)),     OptOut),
        (opted_out(second(5)),      opted_in(second(6)),     Refuse(Reason::NewerOptIn)),
        (opted_out(never),          opted_in(second(6)),     OptOut),
        (opted_out(second(5)),      opted_in(never),         OptOut),
        (opted_out(never),          opted_in(never),         OptOut),
        (opted_out(between(0, 9)),  opted_in(second(9)),     OptOut),
        (opted_out(between(0, 9)),  opted_in(second(10)),    Refuse(Reason::NewerOptIn)),
        (opted_out(second(5)),      opted_in(between(5, 9)), OptOut),
        (opted_out(second(5)),      pending(second(4)),      OptOut),
        (opted_out(second(5)),      pending(second(6)),      Refuse(Reason::NewerOptIn)),

        // A double opt-in that is pending
        (pending(second(5)),        unknown,                 Refuse(Reason::DoubleOptInPending)),
        (pending(second(5)),        pending(second(4)),      Refuse(Reason::DoubleOptInPending)),
        (pending(second(5)),        opted_out(second(4)),    Refuse(Reason::DoubleOptInPending)),
        (pending(second(5)),        opted_in(second(4)),     OptOut),
        (pending(second(5)),        opted_in(second(5)),     OptOut),
        (pending(second(5)),        opted_in(never),         OptOut),
        (pending(second(5)),        opted_in(second(6)),     Refuse(Reason::DoubleOptInPending)),
    ];
    for (desired, current, expected) in table {
        assert_eq!(decide(wants(desired), current), expected, "{desired:?} onto {current:?}");
    }
}

#[test]
fn a_removal_asks_no_time_and_is_done_once() {
    for kind in KINDS {
        assert_eq!(decide(Desired::Removal(kind), Consent::Unknown), Decision::Keep);
        for current in [opted_in(second(1)), opted_in(ActedAt::UNKNOWN), pending(second(i64::from(u32::MAX)))] {
            assert_eq!(decide(Desired::Removal(kind), current), Decision::Remove(kind));
        }
        for reason in REASONS {
            let there = decide(Desired::Removal(kind), Consent::OptedOut { since: second(1), reason });
            let is_done = match kind {
                RemovalKind::Unsubscribe => true,
                RemovalKind::Delete => reason == OptOutReason::Deleted,
                RemovalKind::Suppress => reason == OptOutReason::Suppressed,
            };
            assert_eq!(there, if is_done { Decision::Keep } else { Decision::Remove(kind) }, "{kind:?} of {reason:?}");
        }
    }
}

#[test]
fn whoever_was_asked_there_and_has_not_confirmed_stays_as_they_are() {
    for current in [Consent::Unknown, opted_in(ActedAt::UNKNOWN), pending(second(1)), opted_out(second(1))] {
        assert_eq!(decide(Desired::Awaited, current), Decision::Refuse(Reason::DoubleOptInPending));
    }
}

fn any_time() -> impl Strategy<Value = ActedAt> {
    prop_oneof![
        1 => Just(ActedAt::UNKNOWN),
        4 => (0..40i64).prop_map(second),
        3 => (0..40i64, 0..12i64).prop_map(|(first, length)| between(first, first + length)),
        1 => (0..40i64).prop_map(|last| ActedAt::no_later_than(Timestamp::from_second(last).unwrap())),
    ]
}

fn any_consent() -> impl Strategy<Value = Consent> {
    prop_oneof![
        1 => Just(Consent::Unknown),
        1 => any_time().prop_map(pending),
        3 => any_time().prop_map(opted_in),
        3 => (any_time(), proptest::sample::select(&REASONS[..]))
            .prop_map(|(since, reason)| Consent::OptedOut { since, reason }),
    ]
}

fn any_desired() -> impl Strategy<Value = Desired> {
    prop_oneof![
        5 => any_consent().prop_map(Desired::Consent),
        1 => Just(Desired::Awaited),
        1 => proptest::sample::select(&KINDS[..]).prop_map(Desired::Removal),
    ]
}

/// What a perfect register holds after a decision was carried out there.
fn carried_out(desired: Desired, current: Consent) -> Consent {
    match (decide(desired, current), desired) {
        (Decision::Refuse(_), _) => current,
        (Decision::Keep, Desired::Consent(desired)) => {
            if matches!(current, Consent::Pending { .. }) {
                current
            } else {
                current.or_later(desired)
            }
        }
        (Decision::Keep, Desired::Removal(_) | Desired::Awaited) => current,
        (Decision::OptIn { .. }, Desired::Consent(desired)) => desired,
        (Decision::OptOut, Desired::Consent(desired)) => {
            Consent::OptedOut { since: desired.since().unwrap_or(ActedAt::UNKNOWN), reason: OptOutReason::Unsubscribed }
        }
        (Decision::Remove(kind), _) => Consent::OptedOut {
            since: ActedAt::UNKNOWN,
            reason: match kind {
                RemovalKind::Delete => OptOutReason::Deleted,
                RemovalKind::Unsubscribe => OptOutReason::Unsubscribed,
                RemovalKind::Suppress => OptOutReason::Suppressed,
            },
        },
        (Decision::OptIn { .. } | Decision::OptOut, Desired::Removal(_)) => panic!("a removal removes or keeps"),
        (Decision::OptIn { .. } | Decision::OptOut, Desired::Awaited) => panic!("nothing is asked for yet"),
    }
}

/// Whether any doubt remains that the opt-in came after the opt-out.
fn strictly_after(opt_in: ActedAt, opt_out: ActedAt) -> bool {
    matches!((opt_in.earliest(), opt_out.latest()), (Some(opt_in), Some(opt_out)) if opt_in > opt_out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn doing_it_twice_changes_nothing_more(desired in any_desired(), current in any_consent()) {
        let once = carried_out(desired, current);
        prop_assert_eq!(carried_out(desired, once), once);
        let second = decide(desired, once);
        prop_assert!(matches!(second, Decision::Keep | Decision::Refuse(_)), "{:?}", second);
    }

    #[test]
    fn nobody_is_opted_in_against_an_opt_out_that_is_not_older(desired in any_desired(), current in any_consent()) {
        if let (Decision::OptIn { over_opt_out }, Desired::Consent(wanted)) = (decide(desired, current), desired) {
            prop_assert!(wanted.is_opted_in());
            if let Consent::OptedOut { since, .. } = current {
                prop_assert!(over_opt_out);
                prop_assert!(strictly_after(wanted.since().unwrap(), since));
            } else {
                prop_assert!(!over_opt_out);
            }
        }
    }

    #[test]
    fn an_opt_out_is_refused_only_for_a_strictly_newer_opt_in(since in any_time(), current in any_consent()) {
        if let Decision::Refuse(reason) = decide(wants(opted_out(since)), current) {
            prop_assert_eq!(reason, Reason::NewerOptIn);
            prop_assert!(strictly_after(current.since().unwrap(), since));
        }
    }

    #[test]
    fn the_order_of_two_acts_does_not_matter(
        a in any_consent().prop_filter("said", |c| matches!(c, Consent::OptedIn { .. } | Consent::OptedOut { .. })),
        b in any_consent().prop_filter("said", |c| matches!(c, Consent::OptedIn { .. } | Consent::OptedOut { .. })),
        current in any_consent().prop_filter("settled", |c| !matches!(c, Consent::Pending { .. })),
    ) {
        let one_way = carried_out(wants(b), carried_out(wants(a), current));
        let other_way = carried_out(wants(a), carried_out(wants(b), current));
        prop_assert_eq!(one_way.is_opted_in(), other_way.is_opted_in());
    }

    #[test]
    fn the_later_of_two_is_the_same_whoever_is_asked(a in any_consent(), b in any_consent(), c in any_consent()) {
        prop_assert_eq!(a.or_later(a), a);
        let same = |left: Consent, right: Consent| !left.outranks(&right) && !right.outranks(&left);
        prop_assert!(same(a.or_later(b), b.or_later(a)));
        prop_assert!(same(a.or_later(b).or_later(c), a.or_later(b.or_later(c))));
    }

    #[test]
    fn nobody_removed_stays_mailable(kind in proptest::sample::select(&KINDS[..]), current in any_consent()) {
        prop_assert!(!carried_out(Desired::Removal(kind), current).is_opted_in());
    }
}
