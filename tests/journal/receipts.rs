//! When was an opt-out honoured?

use crate::town::{NEWSLETTER, Town, address};

/// Without those that tell of what another one brought about: an echo, or the second event of one act, may come before the
/// first is written down.
fn made(mut receipts: Vec<String>) -> Vec<String> {
    receipts.retain(|receipt| !receipt.contains('?'));
    receipts.dedup();
    receipts
}

#[tokio::test]
async fn an_opt_out_either_way_has_a_receipt() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!(made(town.receipts("ann").await), ["opt_in gigya_to_esp", "opt_out gigya_to_esp"]);

    town.subscriber("ben").await;
    town.a_moment_passes();
    town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ben"));
    town.quiet().await;
    assert_eq!(made(town.receipts("ben").await), ["opt_in gigya_to_esp", "opt_out esp_to_gigya"]);
    let verified = town.journal().verify(&[]).await.unwrap();
    assert!(verified.receipts >= 4);
    assert_eq!(verified.broken, []);
}
