//! Each command that the documents show is run here as it stands, by a shell, between the simulations; or it is said what
//! runs it instead. A block of commands that is in neither list fails the test.
//!
//! Needs what the documents need: a shell, curl, openssl and sed. So it is ignored unless asked for:
//!
//! ```sh
//! cargo test --locked --test documented -- --ignored
//! ```
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../contract/mod.rs"]
mod contract;

mod blocks;
mod house;

use blocks::{Block, blocks, blocks_of};
use house::House;

/// The documents that show commands.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "deploy/README.md",
    "docs/correctness.md",
    "docs/journal.md",
    "docs/limits.md",
    "docs/operations.md",
    "docs/runbooks.md",
    "docs/setup/campaign-monitor.md",
    "docs/setup/gigya.md",
    "docs/setup/marketing-cloud.md",
    "docs/setup/salesforce.md",
];

/// Blocks that a test below runs, by document and first line.
const RUN_HERE: &[(&str, &str)] = &[
    ("README.md", "cp deploy/gateway.example.toml gateway.toml"),
    ("docs/journal.md", "(umask 077; openssl rand"),
    ("docs/journal.md", "# When did you honour my opt-out?"),
    ("docs/operations.md", "# The pseudonym of an address"),
    ("docs/runbooks.md", "curl -s OPS/readyz"),
    ("docs/setup/campaign-monitor.md", "gigya-esp-gateway register"),
    ("docs/setup/campaign-monitor.md", "api=https://api.createsend.com/api/v3.3"),
    ("docs/setup/gigya.md", "gigya-esp-gateway register"),
    ("docs/setup/gigya.md", "curl https://accounts.eu1.gigya.com/accounts.webhooks.set"),
    ("docs/setup/marketing-cloud.md", "gigya-esp-gateway register --connection crm"),
    ("docs/setup/marketing-cloud.md", "token=$(curl -s"),
];

/// Blocks that aren't run here, and what does instead.
const RUN_ELSEWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --locked -- sandbox", ".ci/heavy tells the story, .ci/browser acts on the page"),
    ("README.md", "cargo test --locked", ".ci/run"),
    ("README.md", "WORLDS=100000", "the same tests with smaller numbers: .ci/run, .ci/heavy"),
    ("README.md", "cargo bench --locked --bench gateway", ".ci/heavy runs each part, with smaller numbers"),
    ("docs/correctness.md", "cargo test --locked --test simulated_world", "the same tests: .ci/run, .ci/heavy"),
    ("deploy/README.md", "sudo apt-get install haproxy", "tests/processes runs these very files"),
    (
        "deploy/README.md",
        "cargo build --release --locked",
        ".ci/heavy asks systemd of the unit, tests/deployed the gateway of its configuration",
    ),
    (
        "deploy/README.md",
        "docker build",
        "needs a daemon; .ci/kubernetes lints the Dockerfile, .ci/heavy builds from its context",
    ),
    (
        "deploy/README.md",
        "sudo install -m 0755 deploy/with-credentials",
        "needs systemd; tests/deployed runs what it runs",
    ),
    ("deploy/README.md", "kubectl create namespace", "needs a cluster; .ci/kubernetes renders and validates it"),
    ("deploy/README.md", "kubectl -n gigya-esp-gateway exec", "needs a cluster; tests/registering runs these commands"),
    ("deploy/README.md", "sudo deploy/with-credentials", "needs to be root; tests/deployed runs it where it can"),
    ("deploy/README.md", "docker run --rm --user", "needs a daemon and a cluster; tests/registering has a key written"),
    ("deploy/README.md", "promtool check rules", ".ci/observability"),
    ("deploy/README.md", "deploy/build", "two builds take a quarter of an hour; .ci/sbom makes the list"),
    ("deploy/README.md", "deploy/order", "a build and the benchmark under valgrind; .ci/heavy links by what it made"),
    ("deploy/README.md", "deploy/profile", "two builds again, and the benchmark between them"),
];

fn text_of(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap()
}

fn document(name: &str) -> Vec<Block> {
    blocks(&text_of(name))
}

/// The block of a document that begins so.
fn block(name: &str, start: &str) -> Block {
    let mut all = document(name).into_iter();
    all.find(|block| block.text.starts_with(start)).unwrap_or_else(|| panic!("{name} shows no {start}"))
}

#[test]
fn every_block_of_commands_is_run_somewhere() {
    let elsewhere = RUN_ELSEWHERE.iter().map(|(document, start, _)| (*document, *start));
    let known: Vec<_> = RUN_HERE.iter().copied().chain(elsewhere).collect();
    let mut met = vec![false; known.len()];
    for name in DOCUMENTS {
        for block in document(name) {
            let place = known.iter().position(|(document, start)| document == name && block.text.starts_with(start));
            let place = place.unwrap_or_else(|| panic!("nothing runs this block of {name}:\n{}", block.text));
            met[place] = true;
        }
    }
    for (is_met, (document, start)) in met.into_iter().zip(known) {
        assert!(is_met, "{document} has no block that begins with {start} anymore");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn the_readme_sets_it_up() {
    let mut house = House::new("").await;
    let steps = block("README.md", "cp deploy/gateway.example.toml").commands();
    let expected = [
        ("cp deploy/gateway.example.toml gateway.toml", 0),
        ("gigya-esp-gateway check", 0),
        ("gigya-esp-gateway serve", 0),
        ("gigya-esp-gateway register", 3),
        ("gigya-esp-gateway register --apply", 0),
        ("gigya-esp-gateway check --online", 0),
    ];
    assert_eq!(steps, expected.map(|(command, _)| command));
    for (command, status) in expected {
        if command.ends_with("serve") {
            // The reader puts in what is theirs.
            house.configure();
            house.serve();
            continue;
        }
        let ran = house.shell(command).await;
        assert_eq!(ran.status, status, "{command}: {ran:?}");
    }
    house.carries_both_ways().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn each_side_is_set_up_by_its_api() {
    let mut house = House::new("").await;
    house.configure();
    house.lacks_the_uids_field();
    house.serve();
    let webhook = house.shell(&block("docs/setup/gigya.md", "curl ").text).await;
    assert!(webhook.status == 0 && webhook.out.contains("\"errorCode\":0"), "{webhook:?}");
    let list = house.shell(&block("docs/setup/campaign-monitor.md", "api=").text).await;
    assert!(list.status == 0 && !list.out.contains("\"Code\""), "{list:?}");
    let ran = house.shell("gigya-esp-gateway check --online").await;
    assert_eq!(ran.status, 0, "{ran:?}");
    house.carries_both_ways().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn each_side_is_set_up_by_register() {
    for (document, connection) in [("docs/setup/gigya.md", "main"), ("docs/setup/campaign-monitor.md", "news")] {
        let mut house = House::new("").await;
        house.configure();
        house.serve();
        let steps = block(document, "gigya-esp-gateway register").commands();
        assert_eq!(steps, ["gigya-esp-gateway register", "gigya-esp-gateway register --apply"]);
        for (command, status) in steps.iter().zip([3, 0]) {
            let ran = house.shell(command).await;
            assert_eq!(ran.status, status, "{command}: {ran:?}");
        }
        let again = house.shell(&format!("gigya-esp-gateway register --connection {connection}")).await;
        assert!(again.status == 0 && again.out.contains("There is nothing to do."), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn marketing_clouds_callback_is_made_by_register_and_its_key_taken_by_the_running_gateway() {
    let mut house = House::new("registering = true").await;
    house.configure();
    house.serve();
    let steps = block("docs/setup/marketing-cloud.md", "gigya-esp-gateway register").commands();
    for (command, status) in steps.iter().zip([3, 0]) {
        let ran = house.shell(command).await;
        assert_eq!(ran.status, status, "{command}: {ran:?}");
    }
    house.no_longer_registering().await;
    house.hears_marketing_cloud().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn marketing_clouds_callback_is_made_by_its_api() {
    let mut house = House::new("registering = true").await;
    house.configure();
    house.serve();
    let ran = house.shell(&block("docs/setup/marketing-cloud.md", "token=").text).await;
    assert!(ran.status == 0 && ran.out.contains("subscriptionId"), "{ran:?}");
    house.no_longer_registering().await;
    house.hears_marketing_cloud().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn who_is_on_call_can_look() {
    let mut house = House::new("").await;
    house.configure();
    house.serve();
    let commands = block("docs/runbooks.md", "curl -s OPS/readyz").commands();
    // Where the log is, systemd and Kubernetes know.
    let here = commands.iter().filter(|command| !command.starts_with("journalctl") && !command.starts_with("kubectl"));
    let mut said = String::new();
    for command in here {
        let ran = house.shell(command).await;
        assert_eq!(ran.status, 0, "{command}: {ran:?}");
        said += &ran.out;
    }
    for expected in ["\"ready\":true", "gateway_events_total{", "The configuration is valid."] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs openssl"]
async fn the_journal_is_turned_on_and_asked() {
    let mut house = House::new("").await;
    let made = house.shell(&block("docs/journal.md", "(umask 077").text).await;
    assert_eq!(made.status, 0, "{made:?}");
    house.configure_with(&blocks_of("toml", &text_of("docs/journal.md"))[0].text);
    house.serve();
    let registered = house.shell("gigya-esp-gateway register --apply").await;
    assert_eq!(registered.status, 0, "{registered:?}");
    house.carries_both_ways().await;
    let mut said = String::new();
    for command in block("docs/journal.md", "# When did").commands() {
        let ran = house.shell(&command).await;
        assert_eq!(ran.status, 0, "{command}: {ran:?}");
        said += &ran.out;
    }
    for expected in ["opt_out", " holds.", "0 events set aside.", "0 events unfinished.", "Erased."] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let page = house.file("ann.html");
    assert!(page.contains("The last opt-out on record took effect in SAP Customer Data Cloud (main)"), "{page}");
    let after = house.shell("gigya-esp-gateway journal receipts --address ann@example.org").await;
    assert!(after.status == 0 && after.out.contains("no receipt of the address"), "{after:?}");
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_pseudonym_is_made_by_hand() {
    let house = House::new("").await;
    let ran = house.shell(&block("docs/operations.md", "# The pseudonym").text).await;
    // The log's own for this key: `telemetry::pseudonym` has the same.
    assert_eq!(ran.out, "8f6a5fb3da4fa8ad\n", "{ran:?}");
}
