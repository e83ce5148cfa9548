//! When was an opt-out honoured?

use crate::town::{NEWSLETTER, Town, address};

#[tokio::test]
async fn an_opt_out_either_way_has_one_receipt() {
    let town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.a_moment_passes();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    // The echo may be there before the receipt is: then it found the opt-out in effect.
    let mut receipts = town.receipts("ann").await;
    receipts.retain(|receipt| receipt != "opt_out? esp_to_gigya");
    assert_eq!(receipts, ["opt_in gigya_to_esp", "opt_out gigya_to_esp"]);

    town.subscriber("ben").await;
    town.a_moment_passes();
    town.sandbox.campaign_monitor.unsubscribe_link(&town.sandbox.list, &address("ben"));
    town.quiet().await;
    let mut receipts = town.receipts("ben").await;
    receipts.retain(|receipt| receipt != "opt_out? gigya_to_esp");
    assert_eq!(receipts, ["opt_in gigya_to_esp", "opt_out esp_to_gigya"]);
    let verified = town.journal().verify().await.unwrap();
    assert!(verified.receipts >= 4);
    assert_eq!(verified.broken, []);
}
