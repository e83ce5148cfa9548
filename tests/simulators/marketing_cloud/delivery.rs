//! How events are redelivered, by either rule.

use super::{Account, Receiver, until};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, Redelivery, Status};
use gigya_esp_gateway::sandbox::{GivingUp, Temper};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(10);

async fn account(redelivery: Redelivery, receiver: &Receiver, giving_up: GivingUp) -> Account {
    let settings = MarketingCloudSettings { redelivery, ..MarketingCloudSettings::default() };
    let account = Account::with(settings).await;
    account.sim.courier().set_temper(Temper { first_interval: TICK, giving_up, ..redelivery.temper() });
    account.sim.register(&receiver.url);
    account
}

impl Account {
    fn somebody_leaves(&self) {
        self.sim.import("ann", "ann@example.org", None, Status::Active);
        assert!(self.sim.unsubscribe_link("ann@example.org", None));
    }
}

fn for_days(in_all: Duration) -> GivingUp {
    GivingUp::AfterDays { attempts: 3, deferral: TICK * 8, in_all }
}

fn suspending(suspension: Duration) -> GivingUp {
    let (within, longest_suspension) = (Duration::from_mins(5), suspension * 4);
    GivingUp::AfterRetries { retries: 3, within, suspension, longest_suspension }
}

#[test]
fn marketing_cloud_waits_three_seconds_for_200_to_204() {
    for redelivery in [Redelivery::DeferForDays, Redelivery::DropAndSuspend] {
        let temper = redelivery.temper();
        assert_eq!((temper.patience, temper.highest_success, temper.batch), (Duration::from_secs(3), 204, 1000));
        assert_ne!(temper.giving_up, GivingUp::Never);
    }
}

#[tokio::test]
async fn after_three_attempts_events_are_put_off_and_come_again() {
    // Nothing but 200 to 204 is well, and a redirection isn't followed.
    let receiver = Receiver::answering(&[500, 307, 206, 400, 404, 204]).await;
    let account = account(Redelivery::DeferForDays, &receiver, for_days(Duration::from_mins(5))).await;
    let mut attempts = account.attempts.subscribe();
    let started = std::time::Instant::now();
    account.somebody_leaves();
    assert!(account.sim.courier().settled(Duration::from_secs(20)).await);
    assert!(started.elapsed() >= TICK * (1 + 2 + 8 + 4 + 2), "quick ones, then ever shorter waits");
    let statuses: Vec<_> = std::iter::from_fn(|| attempts.try_recv().ok()).map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [500, 307, 206, 400, 404, 204]);
    assert_eq!(account.sim.courier().dropped(), 0);
}

#[tokio::test]
async fn after_days_events_are_lost() {
    let receiver = Receiver::answering(&[503]).await;
    let account = account(Redelivery::DeferForDays, &receiver, for_days(TICK * 20)).await;
    account.somebody_leaves();
    assert!(account.sim.courier().settled(Duration::from_secs(20)).await);
    assert_eq!((account.sim.courier().pending(), account.sim.callback_status().dropped), (0, 1));
    assert!(receiver.bodies().len() > 3, "but not before");
    assert!(!account.sim.courier().is_suspended());
}

#[tokio::test]
async fn by_the_older_rule_events_are_lost_after_three_retries() {
    let receiver = Receiver::answering(&[500, 500, 500, 500, 200, 500]).await;
    let account = account(Redelivery::DropAndSuspend, &receiver, suspending(Duration::from_mins(5))).await;
    account.somebody_leaves();
    assert!(account.sim.courier().settled(Duration::from_secs(20)).await);
    assert_eq!((receiver.bodies().len(), account.sim.courier().dropped()), (4, 1));
    assert!(!account.sim.courier().is_suspended(), "once is not in a row");
    account.somebody_leaves();
    assert!(account.sim.courier().settled(Duration::from_secs(20)).await);
    assert_eq!((receiver.bodies().len(), account.sim.courier().dropped()), (5, 1));
    account.somebody_leaves();
    until("it is lost", || account.sim.courier().dropped() == 2).await;
    assert!(!account.sim.courier().is_suspended(), "there was a success in between");
}

#[tokio::test]
async fn by_the_older_rule_two_losses_in_a_row_suspend() {
    let receiver = Receiver::answering(&[500, 500, 500, 500, 500, 500, 500, 500, 200]).await;
    let account = account(Redelivery::DropAndSuspend, &receiver, suspending(Duration::from_secs(1))).await;
    for lost in [1, 2] {
        account.somebody_leaves();
        until("it is lost", || account.sim.courier().dropped() == lost).await;
    }
    assert!(account.sim.callback_status().is_suspended);
    account.somebody_leaves();
    assert_eq!((account.sim.courier().pending(), account.sim.courier().dropped()), (0, 3), "lost at once");
    until("the suspension ends", || !account.sim.courier().is_suspended()).await;
    account.somebody_leaves();
    assert!(account.sim.courier().settled(Duration::from_secs(20)).await);
    assert_eq!((receiver.bodies().len(), account.sim.courier().dropped()), (9, 3));
}

#[tokio::test]
async fn events_come_in_batches_and_a_failure_is_all_of_a_batchs() {
    let receiver = Receiver::answering(&[500, 200]).await;
    let account = account(Redelivery::DeferForDays, &receiver, for_days(Duration::from_mins(5))).await;
    account.sim.courier().pause(true);
    for _ in 0..5 {
        account.somebody_leaves();
    }
    account.sim.courier().pause(false);
    assert!(account.sim.courier().settled(Duration::from_secs(20)).await);
    let sizes: Vec<_> = receiver.bodies().iter().map(|events| events.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [5, 5]);
}
