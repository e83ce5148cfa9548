//! What was acknowledged before it was done.

use crate::store::shelf::Shelf;
use crate::town::{NEWSLETTER, Town, address, email};
use gigya_esp_gateway::domain::Reason;
use gigya_esp_gateway::journal::{Entries, Journal, Person, Unfinished, Whom};
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::sandbox::{Esps, Setup, Weather};
use jiff::SignedDuration;

fn setup() -> Setup {
    Setup::default().with_lines("on_deadline = \"journal\"")
}

impl Town {
    async fn acknowledging() -> Self {
        Self::with(setup()).await
    }

    fn campaign_monitor_is_down(&self, down: bool) {
        self.sandbox.campaign_monitor.faults().set_down(down);
    }

    fn gigya_is_down(&self, down: bool) {
        self.sandbox.gigya.faults().set_down(down);
    }

    /// Every answer since the last time said that it is written down. Gigya tells of one act in one event or two.
    fn is_acknowledged(&mut self) {
        let outcomes = self.outcomes();
        assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| outcome == "deferred:journaled"), "{outcomes:?}");
    }

    async fn unfinished(&self) -> i64 {
        self.journal().waiting().await.unwrap().unfinished
    }

    async fn all_is_finished(&self) {
        self.until("all is finished", async || self.unfinished().await == 0).await;
        self.quiet().await;
        self.until("echoes, too", async || self.unfinished().await == 0).await;
        assert_eq!(self.journal().verify(&[]).await.unwrap().broken, []);
    }

    async fn has_receipt(&self, name: &str, receipt: &str) -> bool {
        self.receipts(name).await.iter().any(|other| other == receipt)
    }

    async fn is_set_aside(&self) -> Vec<String> {
        self.journal().rejected().await.unwrap().into_iter().map(|rejected| rejected.reason).collect()
    }
}

#[tokio::test]
async fn an_opt_out_is_acknowledged_and_finished_once_the_esp_is_back() {
    let mut town = Town::acknowledging().await;
    let ann = town.subscriber("ann").await;
    town.a_moment_passes();
    town.outcomes();
    town.campaign_monitor_is_down(true);
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    town.quiet().await;
    town.is_acknowledged();
    assert_eq!(town.esp("ann"), Some(State::Active));
    town.campaign_monitor_is_down(false);
    town.all_is_finished().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
    assert!(town.has_receipt("ann", "opt_out gigya_to_esp").await);
}

#[tokio::test]
async fn an_opt_out_at_the_esp_is_finished_once_gigya_is_back() {
    let mut town = Town::acknowledging().await;
    let ann = town.subscriber("ann").await;
    town.a_moment_passes();
    town.outcomes();
    town.gigya_is_down(true);
    town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    town.is_acknowledged();
    town.gigya_is_down(false);
    town.all_is_finished().await;
    assert_eq!(town.sandbox.gigya.is_subscribed(&ann, NEWSLETTER), Some(false));
    assert!(town.has_receipt("ann", "opt_out esp_to_gigya").await);
}

#[tokio::test]
async fn what_takes_longer_than_the_sender_waits_is_finished_later() {
    let lines = "on_deadline = \"journal\"\ndeadline = \"1s\"\nattempt_timeout = \"900ms\"";
    let mut town = Town::with(Setup::default().with_lines(lines)).await;
    let ann = town.subscriber("ann").await;
    town.a_moment_passes();
    town.outcomes();
    town.sandbox.campaign_monitor.faults().set(Weather { hang: 1.0, ..Weather::default() });
    town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
    town.quiet().await;
    town.is_acknowledged();
    town.sandbox.campaign_monitor.faults().set(Weather::default());
    town.all_is_finished().await;
    assert_eq!(town.esp("ann"), Some(State::Unsubscribed));
}

#[tokio::test]
async fn what_the_esp_cannot_be_asked_about_is_not_acknowledged() {
    let setup = Setup::with_esps(Esps::MarketingCloud).with_lines("on_deadline = \"journal\"");
    let mut town = Town::with(setup).await;
    let ann = town.subscriber("ann").await;
    town.a_moment_passes();
    town.outcomes();
    // Its notice has a key only; whom that is, it alone could say.
    town.sandbox.marketing_cloud.faults().set_down(true);
    assert!(town.sandbox.esps[0].unsubscribe_link(&address("ann")));
    town.until_answered("deferred:unavailable", 1).await;
    assert_eq!(town.unfinished().await, 0);
    town.sandbox.marketing_cloud.faults().set_down(false);
    town.all_is_finished().await;
    assert_eq!(town.sandbox.gigya.is_subscribed(&ann, NEWSLETTER), Some(false));
    assert!(town.is_set_aside().await.is_empty());
    assert!(town.has_receipt("ann", "opt_out esp_to_gigya").await);
}

#[tokio::test]
async fn one_persons_acts_end_in_step_and_out_where_the_last_one_said_so() {
    let route = "accept_opt_ins = true\nfields = { \"First Name\" = \"profile.firstName\" }".to_owned();
    let gigya_lines = "clock_tolerance = \"1h\"\n".to_owned(); // their days pass in seconds
    let setup = Setup { route, gigya_lines, ..Setup::default() }.with_lines("on_deadline = \"journal\"");
    let town = Town::with(setup).await;
    for (name, stays) in [("ann", false), ("ben", true)] {
        let uid = town.subscriber(name).await;
        town.sandbox.clock.advance(jiff::SignedDuration::from_mins(6));
        town.gigya_is_down(true);
        let acts: &[bool] = if stays { &[false, true, false, true] } else { &[false, true, false] };
        for opt_in in acts {
            if *opt_in {
                town.sandbox.campaign_monitor.form_subscribe(&town.sandbox.list, &address(name));
            } else {
                town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address(name));
            }
            town.quiet().await;
            town.sandbox.clock.advance(jiff::SignedDuration::from_mins(6));
        }
        assert!(town.unfinished().await > 0);
        town.gigya_is_down(false);
        town.all_is_finished().await;
        // Gigya times the opt-out by when it was told of it, so it may well be the newer one then.
        let is_in = town.sandbox.gigya.is_subscribed(&uid, NEWSLETTER).unwrap();
        assert!(stays || !is_in, "{name}");
        assert_eq!(town.esp(name) == Some(State::Active), is_in, "{name}: {:?}", town.esp(name));
    }
}

#[tokio::test]
async fn a_notice_that_is_finished_late_undoes_nothing_newer() {
    let town = Town::acknowledging().await;
    let ann = town.subscriber("ann").await;
    town.a_moment_passes();
    // The opt-out waits, already with a pause that grows, ...
    town.gigya_is_down(true);
    town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ann"));
    town.quiet().await;
    town.until("it was tried in vain", async || town.attempts_made().await >= 2).await;
    // ... when she opts in again, and out again, and in for good.
    for _ in 0..2 {
        town.a_moment_passes();
        town.gigya_is_down(false);
        town.sandbox.gigya.unsubscribe(&ann, NEWSLETTER);
        town.a_moment_passes();
        town.sandbox.gigya.subscribe(&ann, NEWSLETTER);
        town.quiet().await;
    }
    town.all_is_finished().await;
    assert_eq!(town.sandbox.gigya.is_subscribed(&ann, NEWSLETTER), Some(true));
    assert_eq!(town.esp("ann"), Some(State::Active));
}

impl Town {
    async fn attempts_made(&self) -> i64 {
        self.shelf.number("SELECT COALESCE(SUM(attempts), 0) FROM journal_pending").await
    }
}

#[tokio::test]
async fn what_can_never_be_done_is_set_aside_when_that_is_found_out() {
    let town = Town::acknowledging().await;
    // Nobody ever sent her anywhere, and her address is gone with the account.
    let ann = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    town.quiet().await;
    town.gigya_is_down(true);
    town.sandbox.gigya.delete(&ann);
    town.quiet().await;
    assert!(town.unfinished().await > 0);
    assert!(town.is_set_aside().await.is_empty());
    town.gigya_is_down(false);
    town.all_is_finished().await;
    assert_eq!(town.is_set_aside().await, ["address_unknown"]);
}

#[tokio::test]
async fn what_has_no_connection_or_route_anymore_is_set_aside() {
    let town = Town::acknowledging().await;
    let subscriber = r#"{"kind":"subscriber","event":"e1","audiences":["gone"],"address":"ann@example.org",
        "what":{"opted_out":{"earliest":null,"latest":null,"reason":"unsubscribed"}}}"#;
    let account = r#"{"kind":"account","uid":"u1","events":[]}"#;
    for (connection, payload) in [("gone", subscriber), ("news", subscriber), ("gone", account), ("main", "nonsense")] {
        let unfinished = Unfinished {
            connection: connection.to_owned(),
            direction: "esp_to_gigya",
            person: Person { account: None, address: Some(email("ann")) },
            received: town.journal().now() - SignedDuration::from_hours(2), // another replica may know more at first
            reason: Reason::Unavailable,
            payload: payload.as_bytes().to_vec(),
        };
        town.journal().commit(Entries { unfinished: vec![unfinished], ..Entries::default() }).await.unwrap();
    }
    town.all_is_finished().await;
    let mut reasons = town.is_set_aside().await;
    reasons.sort();
    assert_eq!(reasons, ["malformed", "no_route", "no_route", "no_route"]);
    // They are hers, and go with her.
    assert_eq!(town.journal().forget(&Whom::Address(email("ann"))).await.unwrap().rejected, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_any_replica_finishes_what_another_one_took() {
    let Some(shelf) = Shelf::postgres().await else { return };
    let town = Town::keeping(Setup { replicas: 3, ..setup() }, shelf).await;
    let mut uids = Vec::new();
    for n in 0..20 {
        uids.push(town.subscriber(&format!("p{n}")).await);
    }
    town.a_moment_passes();
    town.campaign_monitor_is_down(true);
    for uid in &uids {
        town.sandbox.gigya.unsubscribe(uid, NEWSLETTER);
    }
    town.quiet().await;
    assert!(town.unfinished().await >= 20);
    town.campaign_monitor_is_down(false);
    town.all_is_finished().await;
    for n in 0..20 {
        assert_eq!(town.esp(&format!("p{n}")), Some(State::Unsubscribed));
        assert!(town.has_receipt(&format!("p{n}"), "opt_out gigya_to_esp").await);
    }
}
