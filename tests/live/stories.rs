//! What happens to a gateway that runs.

use crate::contract::{Port, ask};
use crate::house::{FIRST_TOKEN, House};
use crate::place::until;
use gigya_esp_gateway::sandbox::Weather;
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SECOND_TOKEN: &str = "second-callback-token-9876543210";
/// Stands in the wrong configuration, as a secret that was pasted where it doesn't belong.
const PASTED: &str = "cGFzdGVkLXNlY3JldC1jYW5hcnk";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_rotated_by_its_file_and_no_request_is_dropped_or_refused() {
    let house = House::start("rotation").await;
    let (is_over, told) = (AtomicBool::new(false), AtomicBool::new(false));
    let stream = async {
        let mut sent = 0_u32;
        while !is_over.load(Ordering::Relaxed) {
            // The provider is told of the new one while both are taken.
            let token = if told.load(Ordering::Relaxed) { SECOND_TOKEN } else { FIRST_TOKEN };
            assert_eq!(house.status_with(token).await, 200, "{}", house.log());
            sent += 1;
        }
        sent
    };
    let rotation = async {
        assert_eq!(house.status_with(SECOND_TOKEN).await, 401);
        house.write("token", SECOND_TOKEN);
        until("the new one is taken", async || house.status_with(SECOND_TOKEN).await == 200).await;
        assert_eq!(house.status_with(FIRST_TOKEN).await, 200, "and so is the old one, which is listed still");
        told.store(true, Ordering::Relaxed);
        house.write("token-before", SECOND_TOKEN);
        until("the old one is refused", async || house.status_with(FIRST_TOKEN).await == 401).await;
        for _ in 0..20 {
            assert_eq!(house.status_with(SECOND_TOKEN).await, 200);
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(stream, rotation);
    assert!(sent > 20, "{sent}");
    house.reloaded("applied", 2.0).await;
    house.has_logged("secrets changed: campaign_monitor.news.callback_tokens").await;
    let log = house.log();
    assert!(log.contains("connections changed: campaign_monitor.news"), "{log}");
    assert!(!log.contains(SECOND_TOKEN) && !log.contains(FIRST_TOKEN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_refused_and_the_one_before_goes_on_until_it_is_mended() {
    let house = House::start("refused").await;
    let started = house.metric("gateway_config_last_success_timestamp_seconds").await;
    assert!((house.metric("gateway_config_last_reload_successful").await - 1.0).abs() < f64::EPSILON);
    let wrong = format!("{}\n[servr]\nlisten = \"{PASTED}\"\n", house.configuration);
    let wrong = wrong.replace("user_key =", &format!("secret = \"{PASTED}\"\nuser_key ="));
    let wrong = wrong.replacen("secret = { env = \"GIGYA_SECRET\" }", "", 1);
    house.configure(&wrong);
    house.reloaded("refused", 1.0).await;
    assert!(house.metric("gateway_config_last_reload_successful").await.abs() < f64::EPSILON);
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    assert_eq!(house.operations("/readyz").await.status, 200);
    let log = house.log();
    assert!(log.contains("configuration refused") && log.contains("\"problems\":2"), "{log}");
    assert!(log.contains("gigya.main.secret: is not a reference to a secret"), "{log}");
    assert!(log.contains("servr: is not a key that this version knows"), "{log}");
    let page = house.operations("/").await.body;
    assert!(page.contains("A newer configuration was refused") && page.contains("servr: is not a key"), "{page}");

    // Not even TOML, with a secret on the line.
    house.configure(&format!("secret = \"{PASTED}"));
    house.reloaded("refused", 2.0).await;
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);

    house.configure(&house.configuration);
    house.reloaded("applied", 1.0).await;
    assert!((house.metric("gateway_config_last_reload_successful").await - 1.0).abs() < f64::EPSILON);
    assert!(house.metric("gateway_config_last_success_timestamp_seconds").await > started);
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    let page = house.operations("/").await.body;
    assert!(!page.contains("refused at"), "{page}");
    let said = format!("{}{}{page}", house.log(), house.operations("/metrics").await.body);
    assert!(!said.contains(PASTED), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_file_that_is_wrong_is_refused_and_noticed_once_it_is_mended() {
    let house = House::start("mended").await;
    house.write("token", "short");
    house.reloaded("refused", 1.0).await;
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    house.write("token", SECOND_TOKEN);
    house.reloaded("applied", 1.0).await;
    assert_eq!(house.status_with(SECOND_TOKEN).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_under_way_ends_with_the_configuration_that_it_began_with() {
    let house = House::start("under-way").await;
    let gigya = house.sandbox.gigya.faults().clone();
    gigya.set(Weather { latency: Duration::from_secs(2), ..Weather::default() });
    let before = gigya.all_calls();
    let request = house.callback("news", FIRST_TOKEN, &house.sandbox.list);
    let under_way = tokio::spawn(async move { ask(Port::Webhooks, request).await.status });
    until("it is under way", async || gigya.all_calls() > before).await;
    // The connection is gone in the new one.
    let renamed = house.configuration.replace("campaign_monitor.news", "campaign_monitor.other");
    house.configure(&renamed.replace("\"news/", "\"other/"));
    house.reloaded("applied", 1.0).await;
    for (connection, there) in [("news", 0.0), ("other", 1.0)] {
        let info = format!("gateway_connection_info{{connection=\"{connection}\",kind=\"campaign-monitor\"}}");
        assert!((house.metric(&info).await - there).abs() < f64::EPSILON, "{connection}");
    }
    assert!(!under_way.is_finished(), "it was to be held until now");
    assert_eq!(house.status_with(FIRST_TOKEN).await, 404);
    gigya.set(Weather::default());
    assert_eq!(under_way.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_and_routes_are_served_and_what_needs_a_restart_is_said() {
    let house = House::start("more").await;
    let list = &house.sandbox.list;
    let at = house.configuration.lines().find(|line| line.contains("/api/v3.3")).unwrap();
    let more = format!(
        "\n[campaign_monitor.second]\napi_key = {{ env = \"CM_API_KEY\" }}\n{at}\ntime_zone = \"UTC\"\n\
         callback_tokens = [{{ file = \"token\" }}]\n\
         [[route]]\nsubscription = \"main/offers\"\naudience = \"second/{list}\"\n"
    );
    assert_eq!(ask(Port::Webhooks, house.callback("second", FIRST_TOKEN, list)).await.status, 404);
    let moved = house.configuration.replacen("listen = \"127.0.0.1:", "listen = \"127.0.0.2:", 1);
    house.configure(&format!("{moved}{more}"));
    house.reloaded("applied", 1.0).await;
    assert_eq!(ask(Port::Webhooks, house.callback("second", FIRST_TOKEN, list)).await.status, 200);
    house.has_logged("connections added: campaign_monitor.second").await;
    let log = house.log();
    assert!(log.contains(&format!("routes added: main/offers -> second/{list}")), "{log}");
    assert!(!log.contains("connections changed"), "{log}");
    assert!(log.contains("\"keys\":\"server.listen\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_filter_changes_at_once_and_one_that_is_none_is_refused() {
    let house = House::start("filter").await;
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    assert!(!house.log().contains("\"message\":\"answered\""), "that is told at debug");
    let told = house.configuration.replacen("[server]", "[telemetry]\nlog_filter = \"debug\"\n[server]", 1);
    house.configure(&told);
    house.reloaded("applied", 1.0).await;
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    house.has_logged("\"message\":\"answered\"").await;
    house.has_logged("\"changes\":\"settings changed: telemetry.log_filter\"").await;
    house.configure(&told.replace("\"debug\"", "\"a=b=c\""));
    house.reloaded("refused", 1.0).await;
    assert!(house.log().contains("telemetry.log_filter: is not a filter"), "{}", house.log());
    let told = |log: &str| log.matches("\"message\":\"answered\"").count();
    let before = told(&house.log());
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    until("the filter before goes on", async || told(&house.log()) > before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_key_that_vanishes_while_registering_is_left_on_stays_in_use() {
    let house = House::start("vanished").await;
    let crm = "\n[marketing_cloud.crm]\nsubdomain = \"mc-example\"\naccount_id = \"100001\"\nregistering = true\n\
               client_id = { env = \"GIGYA_SECRET\" }\nclient_secret = { env = \"GIGYA_SECRET\" }\n\
               signature_keys = [{ file = \"signature-key\" }]\n";
    house.write("signature-key", "the key");
    house.configure(&format!("{}{crm}", house.configuration));
    house.reloaded("applied", 1.0).await;
    house.write("signature-key", "");
    house.reloaded("refused", 1.0).await;
    assert!(house.log().contains("signature-key is gone, or empty: the secret"), "{}", house.log());
    house.write("signature-key", "another key");
    house.reloaded("applied", 2.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_new_waits_for_a_restart_and_that_is_told() {
    let house = House::start("journal").await;
    let journal = "\n[journal]\nsqlite = \"journal.db\"\nkeys = [{ env = \"JOURNAL_KEY\" }]\n";
    house.configure(&format!("{}{journal}", house.configuration));
    house.reloaded("applied", 1.0).await;
    house.has_logged("taken at the next start only").await;
    assert!(house.log().contains("\"keys\":\"journal\""), "{}", house.log());
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_signals_do_no_harm_and_one_while_it_stops_is_ignored() {
    let mut house = House::start("many").await;
    let open_files = |house: &House| std::fs::read_dir(format!("/proc/{}/fd", house.process())).unwrap().count();
    let hang_up = async |house: &House| {
        let before = house.reloads("applied").await;
        house.hang_up();
        until("reloaded", async || house.reloads("applied").await > before).await;
    };
    hang_up(&house).await;
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    let before = open_files(&house);
    for _ in 0..100 {
        hang_up(&house).await;
    }
    assert_eq!(house.status_with(FIRST_TOKEN).await, 200);
    assert!(open_files(&house) <= before + 2, "{before} files were open, now {}", open_files(&house));

    let gigya = house.sandbox.gigya.faults().clone();
    gigya.set(Weather { latency: Duration::from_secs(2), ..Weather::default() });
    let calls = gigya.all_calls();
    let request = house.callback("news", FIRST_TOKEN, &house.sandbox.list);
    let under_way = tokio::spawn(async move { ask(Port::Webhooks, request).await.status });
    until("it is under way", async || gigya.all_calls() > calls).await;
    house.terminate();
    until("it stops", async || house.log().contains("\"stopping\"")).await;
    house.hang_up();
    until("it says so", async || house.log().contains("a SIGHUP is ignored")).await;
    gigya.set(Weather::default());
    assert_eq!(under_way.await.unwrap(), 200);
    assert!(house.ended_well().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_is_in_the_log_once_while_it_runs_and_when_it_has_ended() {
    let mut house = House::start("lines").await;
    house.sandbox.gigya.sign_up("quiet@example.org", "Quiet");
    let answered = async |house: &House, times: usize| -> Vec<String> {
        let requests = (0..times).map(|_| house.unsubscribed("quiet@example.org", Timestamp::UNIX_EPOCH));
        let asked = requests.map(|request| tokio::spawn(async move { ask(Port::Webhooks, request).await }));
        let mut ids = Vec::new();
        for answer in asked.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status, 200);
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        ids
    };
    let settled = |log: &str, id: &str| {
        let lines = log.lines().filter(|line| line.contains(id) && line.contains("event settled"));
        lines.inspect(|line| assert!(line.starts_with('{') && line.ends_with('}'), "{line}")).count()
    };
    let mut ids = answered(&house, 200).await;
    until("all are told", async || {
        let log = house.log();
        ids.iter().all(|id| settled(&log, id) == 1)
    })
    .await;
    // At the end, they are out before the process is gone.
    ids.extend(answered(&house, 200).await);
    house.terminate();
    assert!(house.ended_well().await);
    let log = house.log();
    for id in &ids {
        assert_eq!(settled(&log, id), 1, "{id}: {log}");
    }
    assert!(log.ends_with('\n') && log.contains("\"stopped\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opt_out_that_was_acknowledged_is_in_the_log_of_a_busy_gateway_that_is_killed() {
    let mut house = House::start("killed").await;
    let gigya = house.sandbox.gigya.clone();
    let addresses: Vec<_> = (0..20).map(|n| format!("left{n}@example.org")).collect();
    for address in &addresses {
        let uid = gigya.sign_up(address, "Left");
        gigya.subscribe(&uid, "newsletter");
    }
    gigya.sign_up("quiet@example.org", "Quiet");
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let request = house.unsubscribed("quiet@example.org", Timestamp::UNIX_EPOCH);
        crowd.spawn(async move { ask(Port::Webhooks, request).await.status });
    }
    let now = gigya.clock().now() + Duration::from_secs(2);
    let left = addresses.iter().map(|address| house.unsubscribed(address, now));
    let left: Vec<_> = left.map(|request| tokio::spawn(async move { ask(Port::Webhooks, request).await })).collect();
    let mut ids = Vec::new();
    for answer in left {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    house.kill();
    let log = house.log();
    for id in ids {
        let told = |line: &&str| line.contains(&id) && line.contains("\"change\":\"opt_out\"");
        assert_eq!(log.lines().filter(told).count(), 1, "{id}: {log}");
    }
    crowd.abort_all();
}
