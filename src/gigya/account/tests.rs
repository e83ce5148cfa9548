use super::*;
use crate::domain::{Audience, ConnectionName, RemovalKind};
use std::collections::BTreeMap;

/// Shape: SAP's "accounts.getAccountInfo" and "Subscriptions Object" pages; values are invented.
const ACCOUNT: &str = include_str!("../../../tests/fixtures/gigya/account.json");

fn account() -> Account {
    Account::read(ACCOUNT, None).unwrap().unwrap()
}

fn with_subscription(state: Value) -> Account {
    let json = json!({ "UID": "u1", "isActive": true, "profile": { "email": "ann@example.org" },
        "subscriptions": { "newsletter": { "email": state } } });
    Account::read(&json.to_string(), None).unwrap().unwrap()
}

fn id(text: &str) -> SubscriptionId {
    SubscriptionId::new(text)
}

/// The newsletter's, to an audience.
fn route(esp: &str, audience: &str) -> Route {
    Route {
        gigya: ConnectionName::new("main"),
        subscription: id("newsletter"),
        esp: ConnectionName::new(esp),
        audience: Audience::new(audience),
        on_inactive: RemovalKind::Delete,
        double_opt_in: true,
        accept_opt_ins: true,
        confirmed_at_esp: false,
        create_lite_accounts: false,
        forward_bounces: false,
        fields: BTreeMap::new(),
    }
}

fn at(text: &str) -> ActedAt {
    ActedAt::exactly(text.parse().unwrap())
}

#[test]
fn reads_who_it_is() {
    let account = account();
    assert_eq!(account.uid.expose(), "9f2e0c6b7a514e0f8a3d2b1c0e9f8a7d");
    assert_eq!(account.address.as_ref().unwrap().expose(), "ann@example.org");
    let others: Vec<_> = account.other_addresses.iter().map(Email::expose).collect();
    assert_eq!(others, ["ann.old@example.org", "ann.new@example.org"], "without the present one, each once");
    assert!(account.is_active);
    assert!(account.has_address(&Email::parse("ANN.OLD@example.org").unwrap()));
}

#[test]
fn the_same_answer_is_the_same_account_read_again() {
    let account = account();
    let again = account.read_again(ACCOUNT).expect("the same answer");
    assert_eq!(format!("{again:?}").replace(&format!("{:?}", again.read), ""), {
        format!("{account:?}").replace(&format!("{:?}", account.read), "")
    });
    assert!(again.read >= account.read && !account.has_moved(&again, &route("news", "list1")));
    assert!(account.read_again(&ACCOUNT.replacen("true", "TRUE", 1)).is_none());
    let gone = account.into_gone();
    assert!(gone.read_again(ACCOUNT).is_none(), "it is back");
}

#[test]
fn an_account_without_uid_is_none() {
    assert!(Account::read(r#"{ "isActive": true }"#, None).unwrap().is_none());
}

#[test]
fn a_subscription_that_cannot_be_read_is_not_taken_for_none() {
    let half = r#"{ "UID": "u1", "subscriptions": { "newsletter": { "email": { "isSubscribed": false, "tags": ["\ud800"] } } } }"#;
    assert!(Account::read(half, None).is_err());
    assert!(Account::read("null", None).is_err());
}

#[test]
fn what_is_no_address_is_not_taken_for_one() {
    let account = Account::read(r#"{ "UID": "u1", "profile": { "email": "not an address" } }"#, None).unwrap().unwrap();
    assert_eq!(account.address, None);
}

#[test]
fn finds_subscriptions_dotted_and_nested() {
    let account = account();
    for name in ["newsletter", "pets.canine", "post.marketing"] {
        assert_ne!(account.consent(&id(name), true), Consent::Unknown, "{name}");
    }
    for name in ["pets", "pets.feline", "post", "marketing", "", ".", "newsletter.email", "data"] {
        assert_eq!(account.consent(&id(name), true), Consent::Unknown, "{name}");
    }
}

#[test]
fn an_opt_in_counts_from_its_confirmation() {
    let consent = account().consent(&id("newsletter"), true);
    assert_eq!(consent, Consent::OptedIn { since: at("2026-01-01T12:05:00.500Z") });
}

#[test]
fn an_opt_out_counts_from_its_change() {
    let expected = Consent::OptedOut { since: at("2026-01-02T08:00:00Z"), reason: OptOutReason::Unsubscribed };
    assert_eq!(account().consent(&id("pets.canine"), true), expected);
}

#[test]
fn a_double_opt_in_that_is_pending_is_no_opt_in() {
    let state = json!({ "isSubscribed": true, "lastUpdatedSubscriptionState": "2026-01-01T12:00:00Z",
        "doubleOptIn": { "status": "Pending" } });
    let account = with_subscription(state);
    let since = at("2026-01-01T12:00:00Z");
    assert_eq!(account.consent(&id("newsletter"), true), Consent::Pending { since });
    assert_eq!(account.consent(&id("newsletter"), false), Consent::OptedIn { since });
}

#[test]
fn a_pending_opt_in_that_somebody_vouches_for_is_one() {
    for flag in ["doiConditionallyConfirmed", "isExternallyVerified"] {
        let state = json!({ "isSubscribed": true, "doubleOptIn": { "status": "Pending", flag: true } });
        assert!(with_subscription(state).consent(&id("newsletter"), true).is_opted_in(), "{flag}");
    }
}

#[test]
fn not_confirmed_means_that_no_confirmation_is_needed() {
    let state = json!({ "isSubscribed": true, "doubleOptIn": { "status": "NotConfirmed", "confirmTime": null } });
    let expected = Consent::OptedIn { since: ActedAt::UNKNOWN };
    assert_eq!(with_subscription(state).consent(&id("newsletter"), true), expected);
}

#[test]
fn a_confirmation_of_an_earlier_opt_in_does_not_count_for_a_later_one() {
    let state = json!({ "isSubscribed": true, "lastUpdatedSubscriptionState": "2026-03-01T00:00:00Z",
        "doubleOptIn": { "status": "Confirmed", "confirmTime": "2026-01-01T00:00:00Z" } });
    let expected = Consent::OptedIn { since: at("2026-03-01T00:00:00Z") };
    assert_eq!(with_subscription(state).consent(&id("newsletter"), true), expected);
}

#[test]
fn times_in_milliseconds_are_read_and_others_are_unknown() {
    let with_time = |time: Value| {
        let state = json!({ "isSubscribed": false, "lastUpdatedSubscriptionState": time });
        with_subscription(state).consent(&id("newsletter"), true).since().unwrap()
    };
    assert_eq!(with_time(json!(1_767_268_800_000_i64)), at("2026-01-01T12:00:00Z"));
    for nonsense in [json!(null), json!("yesterday"), json!({}), json!(i64::MAX)] {
        assert_eq!(with_time(nonsense), ActedAt::UNKNOWN);
    }
}

#[test]
fn an_opt_in_that_the_gateway_brought_from_the_esp_counts_from_when_the_person_acted() {
    let acted: Timestamp = "2026-01-01T08:00:00Z".parse().unwrap();
    let written: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let tag = OptInTag { acted, written, confirmed: Confirmed::AtTheEsp }.to_text();
    let state = |updated: &str| {
        json!({ "isSubscribed": true, "tags": ["web", tag], "lastUpdatedSubscriptionState": updated,
            "doubleOptIn": { "status": "Pending" } })
    };
    let ours = with_subscription(state("2026-01-01T12:00:30Z"));
    assert_eq!(ours.consent(&id("newsletter"), true), Consent::OptedIn { since: ActedAt::exactly(acted) });
    // The tag stays when the person acts in Gigya later, and says nothing about that.
    let later = with_subscription(state("2026-01-05T12:00:00Z"));
    assert_eq!(later.consent(&id("newsletter"), true), Consent::Pending { since: at("2026-01-05T12:00:00Z") });
}

#[test]
fn a_change_is_written_in_the_form_that_the_account_has() {
    let account = account();
    let change = |name: &str| account.subscription_change(&id(name), false, None);
    assert_eq!(change("newsletter"), json!({ "newsletter": { "email": { "isSubscribed": false } } }));
    assert_eq!(change("pets.canine"), json!({ "pets.canine": { "email": { "isSubscribed": false } } }));
    assert_eq!(change("post.marketing"), json!({ "post": { "marketing": { "email": { "isSubscribed": false } } } }));
    assert_eq!(change("never.seen"), json!({ "never.seen": { "email": { "isSubscribed": false } } }));
}

#[test]
fn a_tag_is_written_beside_those_of_others_and_replaces_the_last_one() {
    let old = OptInTag {
        acted: Timestamp::UNIX_EPOCH,
        written: Timestamp::UNIX_EPOCH,
        confirmed: Confirmed::InGigya(PlaceMark::of(&route("news", "2"))),
    };
    let account = with_subscription(json!({ "isSubscribed": false, "tags": ["web", old.to_text()] }));
    for confirmed in [Confirmed::AtTheEsp, old.confirmed] {
        let new = OptInTag { written: Timestamp::from_second(60).unwrap(), confirmed, ..old };
        let change = account.subscription_change(&id("newsletter"), true, Some(new));
        assert_eq!(change.pointer("/newsletter/email/tags").unwrap(), &json!(["web", new.to_text()]));
        let vouched_for = change.pointer("/newsletter/email/doubleOptIn/isExternallyVerified");
        assert_eq!(vouched_for, (confirmed == Confirmed::AtTheEsp).then_some(&json!(true)));
        let first = new.first_subscription(&id("pets.canine"));
        assert_eq!(first["pets.canine"]["email"]["tags"], json!([new.to_text()]));
    }
}

#[test]
fn an_opt_in_from_an_esp_that_gigya_is_to_confirm_is_pending_and_known_for_where_it_was_made() {
    let acted: Timestamp = "2026-01-01T08:00:00Z".parse().unwrap();
    let written: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let place = route("news", "1");
    let tag = OptInTag { acted, written, confirmed: Confirmed::InGigya(PlaceMark::of(&place)) }.to_text();
    let state = |confirmation: Value| {
        with_subscription(json!({ "isSubscribed": true, "tags": [tag],
            "lastUpdatedSubscriptionState": "2026-01-01T12:00:01Z", "doubleOptIn": confirmation }))
    };
    let at_esp = Consent::OptedIn { since: ActedAt::exactly(acted) };
    let pending = state(json!({ "status": "Pending" }));
    assert_eq!(pending.consent(&id("newsletter"), true), Consent::Pending { since: ActedAt::exactly(acted) });
    assert!(pending.was_asked_at(&place));
    assert!(!pending.was_asked_at(&route("news", "2")) && !pending.was_asked_at(&route("crm", "1")));
    // Asked again in Gigya since: the tag, which stays, is about another change.
    for again in ["2026-01-01T12:00:21Z", "2026-01-02T12:00:00Z"] {
        let again = with_subscription(json!({ "isSubscribed": true, "tags": [tag],
            "lastUpdatedSubscriptionState": again, "doubleOptIn": { "status": "Pending" } }));
        assert!(!again.was_asked_at(&place));
    }
    let confirmed = json!({ "status": "Confirmed", "confirmTime": "2026-01-01T13:00:00Z" });
    let expected = Consent::OptedIn { since: at("2026-01-01T13:00:00Z") };
    assert_eq!(state(confirmed).consent(&id("newsletter"), true), expected);
    for (confirmation, double_opt_in) in [("NotConfirmed", true), ("Pending", false)] {
        let state = state(json!({ "status": confirmation }));
        assert_eq!(state.consent(&id("newsletter"), double_opt_in), at_esp, "{confirmation}: none is needed");
    }
}

#[test]
fn values_are_found_by_path() {
    let account = account();
    let value = |path: &str| account.value(&path.split('.').map(ToOwned::to_owned).collect::<Vec<_>>());
    assert_eq!(value("profile.firstName"), Some(json!("Ann")));
    assert_eq!(value("data.loyalty.points"), Some(json!(1234)));
    assert_eq!(value("data.stores.1"), Some(json!("amsterdam-4")));
    assert_eq!(value("data.nothing.here"), None);
}
