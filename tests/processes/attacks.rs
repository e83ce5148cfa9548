//! Clients that mean no good. Each goes on, connection after connection, until it is told to stop, and sees to it that
//! the gateway answers or closes as it should.

use crate::client::{Client, post, post_with};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATH: &str = "/webhooks/gigya/main";
/// The gateway's `max_body_bytes`.
const LIMIT: usize = 1_048_576;
/// Bytes come this far apart.
const DRIP: Duration = Duration::from_millis(500);

/// Attackers at work.
pub struct Attack {
    pub at: SocketAddr,
    pub enough: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

/// How often the attackers of one kind were through with a connection.
pub type Times = Arc<AtomicUsize>;

impl Attack {
    pub fn on(at: SocketAddr) -> Self {
        Self { at, enough: CancellationToken::new(), tasks: Mutex::default() }
    }

    /// So many that repeat this.
    fn many<F>(&self, attackers: usize, once: impl Fn(SocketAddr) -> F + Clone + Send + 'static) -> Times
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let times = Times::default();
        for _ in 0..attackers {
            let (at, enough, once, times) = (self.at, self.enough.clone(), once.clone(), Arc::clone(&times));
            self.tasks.lock().unwrap().spawn(async move {
                while enough.run_until_cancelled(once(at)).await.is_some() {
                    times.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        times
    }

    /// A head that never ends, a byte now and then: cut after `header_timeout` (5 s).
    pub fn slow_heads(&self, attackers: usize) -> Times {
        self.many(attackers, async |at| {
            let begun = Instant::now();
            drip(at, format!("POST {PATH} HTTP/1.1\r\nhost: test\r\nx-slow: ").into_bytes(), b"x").await;
            assert!(begun.elapsed() < Duration::from_secs(9), "a slow head held on for {:?}", begun.elapsed());
        })
    }

    /// A body that never ends: 408 after `body_timeout` (10 s). So much of it is sent at once.
    pub fn slow_bodies(&self, attackers: usize, at_once: usize) -> Times {
        self.many(attackers, move |at| async move {
            let begun = Instant::now();
            let head = format!("POST {PATH} HTTP/1.1\r\nhost: test\r\ncontent-length: {LIMIT}\r\n\r\n");
            let start = [head.into_bytes(), vec![b'x'; at_once]].concat();
            let answer = drip(at, start, b"x").await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
            assert!(begun.elapsed() < Duration::from_secs(16), "a slow body held on for {:?}", begun.elapsed());
        })
    }

    /// The same in chunks.
    pub fn slow_chunks(&self, attackers: usize) -> Times {
        self.many(attackers, async |at| {
            let head = format!("POST {PATH} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
            let answer = drip(at, head.into_bytes(), b"1\r\nx\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        })
    }

    /// A hundred requests at once on one connection, which are answered in order.
    pub fn pipelines(&self, attackers: usize) -> Times {
        self.many(attackers, async |at| {
            let id = |n: usize| format!("pipelined-{n}");
            let requests: String =
                (0..100).map(|n| post_with(PATH, &format!("x-request-id: {}\r\n", id(n)), "{}")).collect();
            let mut sender = Client::connect(at).await;
            sender.send(requests).await;
            for n in 0..100 {
                let answer = sender.answer().await;
                assert_eq!((answer.status, answer.header("x-request-id")), (401, Some(id(n).as_str())));
            }
        })
    }

    /// Requests without an end, of which no answer is read: the connection stalls, and nothing piles up.
    pub fn deaf(&self, attackers: usize) -> Times {
        self.many(attackers, async |at| {
            let requests = post(PATH, "{}").repeat(1000);
            let mut sender = TcpStream::connect(at).await.unwrap();
            while sender.write_all(requests.as_bytes()).await.is_ok() {}
        })
    }

    /// Everything larger than it may be, one after the other.
    pub fn oversized(&self, attackers: usize) -> Times {
        self.many(attackers, async |at| {
            let long = "x".repeat(200_000);
            let fields = "x-one: more\r\n".repeat(1000);
            let head = format!("POST {PATH} HTTP/1.1\r\nhost: test\r\n");
            let endless = format!("{head}transfer-encoding: chunked\r\n\r\n");
            let cases: [(&[u16], Vec<u8>); 6] = [
                (&[414, 431], format!("POST {PATH}?{long} HTTP/1.1\r\nhost: test\r\n\r\n").into()),
                (&[431], post_with(PATH, &format!("x-long: {long}\r\n"), "{}").into()),
                (&[431], post_with(PATH, &fields, "{}").into()),
                (&[413], format!("{head}content-length: 99999999999\r\n\r\n").into()),
                (
                    &[413],
                    [endless.into_bytes(), format!("8000\r\n{}\r\n", "x".repeat(0x8000)).repeat(40).into()].concat(),
                ),
                (&[415], post_with(PATH, "content-encoding: gzip\r\n", &"x".repeat(LIMIT)).into()),
            ];
            for (wanted, request) in cases {
                let answer = hear(at, &request).await;
                let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
                assert!(wanted.contains(&status), "{wanted:?}: {answer:?}");
            }
        })
    }

    /// From somebody who knows a callback's token: brackets in brackets, and ten times as many events as are documented.
    pub fn odd_callbacks(&self, attackers: usize, path: &str, list: &str) -> Times {
        let deep = post(path, &format!("{{\"ListID\":\"{list}\",\"Events\":{}", "[".repeat(LIMIT - 100)));
        let start = format!("{{\"ListID\":\"{list}\",\"Events\":[");
        let many = post(path, &format!("{start}{}{{\"Type\":\"x\"}}]}}", "{\"Type\":\"x\"},".repeat(10_000)));
        self.many(attackers, move |at| {
            let (deep, many) = (deep.clone(), many.clone());
            async move {
                assert_eq!(Client::connect(at).await.ask(deep).await.status, 400);
                assert_eq!(Client::connect(at).await.ask(many).await.status, 200);
            }
        })
    }

    /// Tells them to stop, and waits until they have; what was wrong for one of them is wrong here.
    pub async fn ends(self) {
        self.enough.cancel();
        let mut tasks = self.tasks.into_inner().unwrap();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Sends a start, then a drop now and then until the gateway closes; returns what it said.
async fn drip(at: SocketAddr, start: Vec<u8>, drop: &[u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(at).await.unwrap().into_split();
    let sent = async {
        let mut is_open = writer.write_all(&start).await.is_ok();
        while is_open {
            tokio::time::sleep(DRIP).await;
            is_open = writer.write_all(drop).await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    let mut heard = Vec::new();
    tokio::select! {
        () = sent => {}
        _ = reader.read_to_end(&mut heard) => {}
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// Sends a request that the gateway may refuse before it has all of it; returns what it said until it closed, or at once
/// if it keeps the connection.
async fn hear(at: SocketAddr, request: &[u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(at).await.unwrap().into_split();
    let mut heard = vec![0; 4096];
    let (_, read) = tokio::join!(writer.write_all(request), reader.read(&mut heard));
    heard.truncate(read.unwrap_or(0));
    String::from_utf8_lossy(&heard).into_owned()
}
