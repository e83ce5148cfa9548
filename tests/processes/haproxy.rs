//! Behind `HAProxy`, as `deploy/` has it.

use crate::balancer::Kind;
use crate::trouble;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn a_replica_that_is_killed_loses_nothing() {
    trouble::a_replica_is_killed(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn no_sender_notices_a_rolling_restart() {
    trouble::a_rolling_restart(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn when_the_other_sides_freeze_the_gateway_itself_says_503() {
    trouble::the_other_sides_freeze(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn connections_that_break_behind_the_gateway_are_not_the_senders_business() {
    trouble::the_other_sides_break_connections(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn senders_are_told_to_send_again_when_nobody_is_there() {
    trouble::nobody_is_there(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn senders_are_told_to_send_again_when_answers_break_off() {
    trouble::answers_break_off(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn only_named_proxies_say_whom_a_request_is_from() {
    trouble::forwarded_addresses(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy, nginx and envoy"]
async fn the_lines_for_tls_do() {
    trouble::over_tls(Kind::HaProxy).await;
}
