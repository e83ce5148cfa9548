//! What is of one system only.

use super::guests::Provider;
use super::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::mailchimp::MailchimpSettings;
use gigya_esp_gateway::sandbox::shipped::{Running, Shipped, System};
use serde_json::json;

#[tokio::test]
async fn who_comes_back_from_brevos_blocklist_is_on_the_one_list_only() {
    let shipped = Provider::Brevo.shipped();
    let town = Town::with(shipped.clone()).await;
    let Some(Running::Brevo(sim)) = shipped.running() else { panic!("another one runs") };
    let uid = town.subscriber("ann").await;
    let ann = address("ann");
    sim.put_on(8, &ann);
    town.quiet().await;
    assert!(sim.list_reaches(8, &ann));
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert!(sim.list_reaches(7, &ann) && !sim.list_reaches(8, &ann));
}

#[tokio::test]
async fn who_left_one_of_brevos_lists_keeps_the_others_when_they_come_back() {
    let shipped = Provider::Brevo.shipped();
    let town = Town::with(shipped.clone()).await;
    let Some(Running::Brevo(sim)) = shipped.running() else { panic!("another one runs") };
    let uid = town.subscriber("ann").await;
    let ann = address("ann");
    sim.put_on(8, &ann);
    sim.leaves_one(7, &ann);
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false), "the contact changed, so it was looked at");
    town.a_moment_passes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert!(sim.list_reaches(7, &ann) && sim.list_reaches(8, &ann));
}

#[tokio::test]
async fn mailchimps_old_webhooks_are_known_by_their_token() {
    let settings = MailchimpSettings { signing_secret: None, ..MailchimpSettings::default() };
    let town = Town::with(Shipped::new(System::Mailchimp(settings))).await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.follows_the_unsubscribe_link("ann");
    town.quiet().await;
    assert_eq!(town.gigya(&uid), Some(false));
}

#[tokio::test]
async fn who_is_in_mailchimps_compliance_state_is_said_to_be_held() {
    let shipped = Provider::Mailchimp.shipped().routed("accept_opt_ins = true");
    let mut town = Town::with(shipped.clone()).await;
    let Some(Running::Mailchimp(sim)) = shipped.running() else { panic!("another one runs") };
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    assert!(sim.complain(&address("ann")));
    is_out_and_held_when_they_opt_in_again(&mut town, &uid).await;
}

#[tokio::test]
async fn leaving_all_of_sendgrid_is_leaving_and_another_group_is_not() {
    let shipped = Provider::Sendgrid.shipped();
    let mut town = Town::with(shipped.clone()).await;
    let Some(Running::Sendgrid(sim)) = shipped.running() else { panic!("another one runs") };
    let (ann, ben) = (town.subscriber("ann").await, town.subscriber("ben").await);
    town.a_moment_passes();
    assert!(sim.unsubscribe_from_everything(&address("ann")) && sim.leaves_group(102, &address("ben")));
    town.quiet().await;
    assert_eq!((town.gigya(&ann), town.gigya(&ben)), (Some(false), Some(true)), "{:?}", town.outcomes());
}

#[tokio::test]
async fn nobody_is_brought_back_to_klaviyos_other_lists() {
    let shipped = Provider::Klaviyo.shipped();
    let mut town = Town::with(shipped.clone()).await;
    let Some(Running::Klaviyo(sim)) = shipped.running() else { panic!("another one runs") };
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    assert!(sim.unsubscribe_from_everything(&address("ann")));
    is_out_and_held_when_they_opt_in_again(&mut town, &uid).await;
    assert_eq!(json!(sim.profile(&address("ann")).unwrap().external_id), json!(uid));
}

/// Ann has left by what the system doesn't let the gateway lift: Gigya hears of it, and that she is held when she comes back there.
async fn is_out_and_held_when_they_opt_in_again(town: &mut Town, uid: &str) {
    town.quiet().await;
    assert_eq!(town.gigya(uid), Some(false));
    town.a_moment_passes();
    town.outcomes();
    town.sandbox.gigya.subscribe(uid, NEWSLETTER);
    town.quiet().await;
    let outcomes = town.outcomes();
    assert!(!town.mails("ann") && outcomes.iter().any(|outcome| outcome.contains("held")), "{outcomes:?}");
}
