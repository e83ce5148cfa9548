//! Where an account's subscribers are, whatever address it has by now.

use crate::town::{Town, address};
use gigya_esp_gateway::sandbox::campaign_monitor::State;

#[tokio::test]
async fn somebody_deleted_whose_address_nobody_knows_anymore_is_removed() {
    let mut town = Town::ordinary().await;
    let uid = town.subscriber("ann").await;
    town.outcomes();
    town.sandbox.gigya.delete(&uid);
    town.quiet().await;
    assert_eq!(town.esp("ann"), Some(State::Deleted));
    assert_eq!(town.outcomes()[0], "applied");
    assert_eq!(town.receipts("ann").await, ["opt_in gigya_to_esp", "removal gigya_to_esp"]);
    let _ = address("ann");
}
