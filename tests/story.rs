//! The story that `sandbox --script` tells ends right.

use gigya_esp_gateway::sandbox::story::{self, Line};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_story_ends_right_in_both_directions() {
    let mut told = Vec::new();
    let ended = story::play(|line| told.push(line.clone())).await;
    let text: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert!(ended.is_ok(), "{}\n{ended:?}", text.join("\n"));
    let put_off = |line: &Line| matches!(line, Line::Webhook { status: 503, .. });
    assert!(told.iter().any(put_off), "somebody opts out while the other side is down");
    assert!(told.iter().filter(|line| matches!(line, Line::Stands(_))).count() > 20, "{text:?}");
}
