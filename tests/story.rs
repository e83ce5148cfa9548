//! The story that `sandbox --script` tells ends right, whichever ESPs take part.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod contract;

use contract::Held;
use gigya_esp_gateway::sandbox::Esps;
use gigya_esp_gateway::sandbox::story::{self, Line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_story_ends_right_with_campaign_monitor() {
    ends_right(Esps::CampaignMonitor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_story_ends_right_with_marketing_cloud() {
    ends_right(Esps::MarketingCloud).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_story_ends_right_with_both_at_once() {
    ends_right(Esps::Both).await;
}

async fn ends_right(cast: Esps) {
    let mut told = Vec::new();
    let ended = story::play(cast, Held::default(), |line| told.push(line.clone())).await;
    let text: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert!(ended.is_ok(), "{}\n{ended:?}", text.join("\n"));
    let put_off = |line: &Line| matches!(line, Line::Webhook { status: 503, .. });
    assert!(told.iter().any(put_off), "somebody opts out while the other side is down");
    assert!(told.iter().filter(|line| matches!(line, Line::Stands(_))).count() > 20, "{text:?}");
}
