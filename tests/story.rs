//! The story that `sandbox --script` tells ends right.

use gigya_esp_gateway::sandbox::story;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_story_ends_right_in_both_directions() {
    let mut told = Vec::new();
    let ended = story::play(|line| told.push(line.to_owned())).await;
    assert!(ended.is_ok(), "{}\n{ended:?}", told.join("\n"));
}
