//! Connections over time: simulated pipes, simulated clock.

use super::*;
use axum::body::{Body, to_bytes};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /small HTTP/1.1\r\nhost: test\r\n\r\n";

/// Accepts as scripted, then nothing more.
struct Scripted(VecDeque<io::Result<DuplexStream>>);

impl Listener for Scripted {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        match self.0.pop_front() {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

/// Answers `/large` with a megabyte, `/early` without reading the body, and else with the body.
async fn echo(request: Request<Incoming>) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    let body = match path.as_str() {
        "/large" => Body::from(vec![b'x'; 1 << 20]),
        "/early" => Body::empty(),
        _ => Body::from(to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap_or_default()),
    };
    let mut answer = Response::new(body);
    if path == "/early" {
        answer.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
    }
    Ok(answer)
}

fn serve(script: impl IntoIterator<Item = io::Result<DuplexStream>>) -> (CancellationToken, JoinHandle<()>) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = config::Server {
        listen: any,
        admin_listen: any,
        public_url: None,
        max_connections: 10,
        max_in_flight: 10,
        max_body_bytes: 1000,
        header_timeout: HEADER_TIMEOUT,
        body_timeout: Duration::from_secs(10),
        drain_timeout: Duration::from_secs(25),
        drain_delay: Duration::ZERO,
    };
    let stop = CancellationToken::new();
    let server = Server::new("test", Scripted(script.into_iter().collect()), tower::service_fn(echo), &settings);
    (stop.clone(), tokio::spawn(server.run(stop)))
}

fn connected() -> (DuplexStream, CancellationToken, JoinHandle<()>) {
    let (client, server) = duplex(1024);
    let (stop, running) = serve([Ok(server)]);
    (client, stop, running)
}

/// One answer without a body.
async fn answer(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

async fn closed_after(client: &mut DuplexStream) -> Duration {
    let start = Instant::now();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn out_of_file_descriptors_is_no_reason_to_stop() {
    let (mut client, server) = duplex(1024);
    let too_many_files = || Err(io::Error::from_raw_os_error(24));
    let aborted = || Err(io::ErrorKind::ConnectionAborted.into());
    serve([too_many_files(), aborted(), too_many_files(), too_many_files(), Ok(server)]);
    client.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn a_head_has_the_header_timeout_whatever_drips_in() {
    let (mut client, _stop, _running) = connected();
    let start = Instant::now();
    for byte in REQUEST {
        if client.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert!(start.elapsed() <= HEADER_TIMEOUT + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_a_load_balancers_patience_but_not_for_ever() {
    let (mut client, _stop, _running) = connected();
    for _ in 0..3 {
        client.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    client.write_all(&REQUEST[..10]).await.unwrap();
    let cut = closed_after(&mut client).await;
    assert!(cut >= HEADER_TIMEOUT && cut <= HEADER_TIMEOUT + Duration::from_secs(1), "{cut:?}");

    let (mut client, _stop, _running) = connected();
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    let idle = closed_after(&mut client).await;
    assert!(idle >= Duration::from_secs(75) && idle < Duration::from_secs(77), "{idle:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_answer_is_not_waited_for() {
    let (mut client, stop, running) = connected();
    client.write_all(b"GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let mut taken = Vec::new();
    let _ = client.read_to_end(&mut taken).await;
    assert!(taken.len() < 1 << 20, "all of it was still to be had");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_after_an_early_answer_is_thrown_away_for_a_moment() {
    let (mut client, _stop, _running) = connected();
    client.write_all(b"POST /early HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
    assert!(answer(&mut client).await.contains("connection: close"));
    client.write_all(&vec![b'x'; 50_000]).await.unwrap(); // 50 times what the pipe holds
    let start = Instant::now();
    while client.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_does_not_hold_the_stop_up() {
    let (mut client, stop, running) = connected();
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    let start = Instant::now();
    stop.cancel();
    running.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted_until_they_end() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder); // this test's server runs on this thread, and no other's
    let open = || {
        page.render()
            .lines()
            .find_map(|line| line.strip_prefix("gateway_http_connections{port=\"test\"} ")?.parse().ok())
    };
    let ((mut polite, one), (mut rude, two), (mut silent, three)) = (duplex(1024), duplex(1024), duplex(1024));
    let (stop, running) = serve([Ok(one), Ok(two), Ok(three)]);
    for client in [&mut polite, &mut rude] {
        client.write_all(REQUEST).await.unwrap();
        answer(client).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open(), Some(3));
    drop(polite);
    rude.write_all(b"\0\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open(), Some(1));
    closed_after(&mut silent).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open(), Some(0));
    stop.cancel();
    running.await.unwrap();
}
