//! What traces cost: the processor's time for a webhook without and with them. Another build is measured by
//! `GATEWAY_BINARY`, which without traces may be one that has none.

use crate::collector::{Collector, Manner};
use crate::gateway::Scene;

const WEBHOOKS: u64 = 500;

async fn cost(endpoint: Option<&str>) -> u64 {
    let scene = Scene::start(endpoint, &[]).await;
    for _ in 0..20 {
        scene.webhook(&[]).await;
    }
    let before = scene.gateway.processor_time();
    for _ in 0..WEBHOOKS {
        assert_eq!(scene.webhook(&[]).await.status, 200);
    }
    (scene.gateway.processor_time() - before) * 10_000 / WEBHOOKS
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; asserts nothing"]
async fn of_a_webhook() {
    println!("without traces: {} microseconds a webhook", cost(None).await);
    if std::env::var_os("GATEWAY_BINARY").is_none() {
        let collector = Collector::start(Manner::Well).await;
        println!("with traces: {} microseconds a webhook", cost(Some(&collector.endpoint())).await);
    }
}
