//! What may happen while a crowd acts, for each load balancer the same.

use crate::balancer::{Balancer, Changes, Kind};
use crate::client::{Answer, post, post_with};
use crate::crowd::{Crowd, Heard};
use crate::place::{Folder, Ports, free_port, until};
use crate::replica::Replica;
use gigya_esp_gateway::sandbox::{Esps, Faults, Nobody, Sandbox, Setup, Weather};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The simulators, two replicas, and a load balancer between them.
struct House {
    sandbox: Arc<Sandbox>,
    replicas: [Replica; 2],
    balancer: Balancer,
    token: String,
    _folder: Folder,
}

impl House {
    async fn with(kind: Kind) -> Self {
        let mut setup = Setup::with_esps(Esps::Both);
        setup.gigya_lines.push_str("clock_tolerance = \"1h\"\n"); // people's days pass in seconds
        let (mut sandbox, outfit) = Sandbox::simulators(setup, Nobody).await.unwrap();
        let folder = Folder::new(&format!("{kind:?}"));
        let replicas = [Replica::start(&outfit, &folder, &[]).await, Replica::start(&outfit, &folder, &[]).await];
        let balancer = Balancer::start(kind, &folder, [replicas[0].ports, replicas[1].ports]).await;
        assert_eq!(balancer.ask(post("/webhooks/gigya/main", "{}")).await.status, 401);
        sandbox.gateways.push(balancer.at);
        sandbox.deliver_to(0);
        let token = outfit.environment.iter().find(|(name, _)| *name == "CM_CALLBACK_TOKEN").unwrap().1.clone();
        Self { sandbox: Arc::new(sandbox), replicas, balancer, token, _folder: folder }
    }

    /// Lets something happen while the crowd acts, and sees to it that nobody's act is lost.
    async fn while_people_act(&mut self, happens: impl AsyncFnOnce(&mut Self)) -> Heard {
        let crowd = Crowd::gather(Arc::clone(&self.sandbox)).await;
        let enough = CancellationToken::new();
        let acting = tokio::spawn(crowd.act(enough.clone()));
        happens(self).await;
        enough.cancel();
        let heard = acting.await.unwrap().is_as_it_should_be();
        eprintln!("{heard:?}");
        let log = self.balancer.log();
        assert!(log.contains("/webhooks/campaign-monitor/news "), "nothing was logged");
        assert!(!log.contains(&self.token), "a token got into the load balancer's log");
        heard
    }

    /// Waits until a replica has settled some events more: so the load balancer believes in it.
    async fn takes_part(&self, replica: usize) {
        self.settles(replica, 5.0).await;
    }

    /// Waits until a replica has settled so many events more.
    async fn settles(&self, replica: usize, events: f64) {
        let settled = async || self.replicas[replica].metric("gateway_events_total").await;
        let before = settled().await;
        until("the load balancer sends to the replica", async || settled().await >= before + events).await;
    }

    async fn all_take_part(&self) {
        self.takes_part(0).await;
        self.takes_part(1).await;
    }
}

/// More events than the crowd has under way at once.
const UNDER_WAY: f64 = 400.0;
/// So that something is always under way.
const SLOW: Weather = Weather { latency: Duration::from_millis(50), jitter: Duration::from_millis(50), ..CALM };
const CALM: Weather = Weather {
    latency: Duration::ZERO,
    jitter: Duration::ZERO,
    error: 0.0,
    error_after: 0.0,
    too_fast: 0.0,
    hang: 0.0,
    reset: 0.0,
    reset_after: 0.0,
    down: false,
};

/// One replica is killed where it stands, and later comes back.
pub async fn a_replica_is_killed(kind: Kind) {
    let mut house = House::with(kind).await;
    let heard = house.while_people_act(async |house| {
        Crowd::set_weather(&house.sandbox, SLOW);
        for round in 0..6 {
            let replica = round % 2;
            house.all_take_part().await;
            // Nobody is to lose both of two replicas: what was under way when the other one was killed is answered by now.
            house.settles(1 - replica, UNDER_WAY).await;
            house.replicas[replica].kill();
            house.takes_part(1 - replica).await;
            house.replicas[replica].start_again().await;
        }
    });
    let heard = heard.await;
    assert_eq!(heard.unreached, 0, "the other replica was there: {heard:?}");
    assert!(house.balancer.has_tried_another(), "nothing was under way when it was killed");
}

/// Both replicas are restarted, one after the other.
pub async fn a_rolling_restart(kind: Kind) {
    let mut house = House::with(kind).await;
    let heard = house.while_people_act(async |house| {
        Crowd::set_weather(&house.sandbox, SLOW);
        for round in 0..6 {
            let replica = round % 2;
            house.all_take_part().await;
            house.replicas[replica].stop().await;
            house.replicas[replica].start_again().await;
        }
    });
    let heard = heard.await;
    assert_eq!(heard.unreached, 0, "there was always a replica: {heard:?}");
}

/// All systems take calls, and never answer them, for 20 s.
pub async fn the_other_sides_freeze(kind: Kind) {
    let mut house = House::with(kind).await;
    let heard = house.while_people_act(async |house| {
        house.all_take_part().await;
        Crowd::set_weather(&house.sandbox, Weather { hang: 1.0, ..Weather::default() });
        tokio::time::sleep(Duration::from_secs(20)).await;
        Crowd::set_weather(&house.sandbox, Weather::default());
    });
    let heard = heard.await;
    assert!(heard.put_off > 0, "nothing froze: {heard:?}");
    assert_eq!(heard.unreached, 0, "the gateway itself says when it gives up: {heard:?}");
}

/// All systems break connections, before and after they did what they were asked.
pub async fn the_other_sides_break_connections(kind: Kind) {
    let mut house = House::with(kind).await;
    let heard = house.while_people_act(async |house| {
        Crowd::set_weather(&house.sandbox, Weather { reset: 0.3, reset_after: 0.3, ..Weather::default() });
        let failed = || house.sandbox.faults().map(Faults::failed).min().unwrap_or(0);
        until("connections broken", async || failed() > 100).await;
        Crowd::set_weather(&house.sandbox, Weather::default());
    });
    let heard = heard.await;
    assert_eq!(heard.unreached, 0, "the replicas were there: {heard:?}");
}

/// Replicas that die in the middle of their answers, both of them.
pub async fn answers_break_off(kind: Kind) {
    let (_sandbox, outfit) = Sandbox::simulators(Setup::default(), Nobody).await.unwrap();
    let folder = Folder::new(&format!("{kind:?}"));
    let replica = Replica::start(&outfit, &folder, &[]).await;
    let breaking = TcpListener::bind(free_port()).await.unwrap();
    let ports = Ports { webhooks: breaking.local_addr().unwrap(), ..replica.ports };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = breaking.accept().await {
            let mut request = [0; 100];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await;
        }
    });
    let balancer = Balancer::start(kind, &folder, [ports, ports]).await;
    for _ in 0..5 {
        is_told_to_come_back(&balancer.ask(post("/webhooks/gigya/main", "{}")).await);
    }
}

fn is_told_to_come_back(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("5"), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.json()["status"], 503);
}

/// What the load balancer says by itself: that a request is to be sent again where no replica is left, and what it
/// doesn't let through.
pub async fn nobody_is_there(kind: Kind) {
    let mut house = House::with(kind).await;
    let answer = house.balancer.ask(post_with("/webhooks/gigya/main", "x-request-id: abc-1\r\n", "{}")).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (401, Some("abc-1")));
    let given = house.balancer.ask(post("/webhooks/gigya/main", "{}")).await;
    let id = given.header("x-request-id").unwrap();
    until("the id is in its log", async || house.balancer.log().contains(id)).await;
    assert_eq!(house.balancer.ask(post("/metrics", "{}")).await.status, 404);
    let long = "POST /webhooks/gigya/main HTTP/1.1\r\nhost: test\r\ncontent-length: 1048577\r\n\r\n";
    assert_eq!(house.balancer.ask(long).await.status, 413);
    // The largest that the gateway takes.
    let body = "x".repeat(1_048_576);
    assert_eq!(house.balancer.ask(post("/webhooks/gigya/main", &body)).await.status, 401);

    for replica in &mut house.replicas {
        replica.kill();
    }
    let path = format!("/webhooks/campaign-monitor/news/{}", house.token);
    for _ in 0..10 {
        is_told_to_come_back(&house.balancer.ask(post(&path, "{}")).await);
    }
    for replica in &mut house.replicas {
        replica.start_again().await;
    }
    until("it comes back by itself", async || {
        house.balancer.ask(post("/webhooks/gigya/main", "{}")).await.status == 401
    })
    .await;
    assert!(!house.balancer.log().contains(&house.token));
}

/// What stands for a replica and answers with the head of what it is asked, in its body.
async fn mirror(operations: std::net::SocketAddr) -> Ports {
    let listener = TcpListener::bind(free_port()).await.unwrap();
    let webhooks = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                let mut some = [0; 4096];
                match stream.read(&mut some).await {
                    Ok(read @ 1..) => head.extend_from_slice(&some[..read]),
                    _ => break,
                }
            }
            let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", head.len());
            let _ = stream.write_all(&[answer.into_bytes(), head].concat()).await;
        }
    });
    Ports { webhooks, operations }
}

/// Only a proxy that is named may say whom a request is from; and the gateway hears one address.
pub async fn forwarded_addresses(kind: Kind) {
    let (_sandbox, outfit) = Sandbox::simulators(Setup::default(), Nobody).await.unwrap();
    let folder = Folder::new(&format!("{kind:?}"));
    let replica = Replica::start(&outfit, &folder, &[]).await;
    let mirror = mirror(replica.ports.operations).await;
    for (trusts_this_machine, address) in [(false, "127.0.0.1"), (true, "203.0.113.7")] {
        let changes = Changes { trusts_this_machine, ..Changes::default() };
        let balancer = Balancer::start_with(kind, &folder, [mirror, mirror], changes).await;
        let claims = "X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nForwarded: for=198.51.100.2\r\n\
                      X-Forwarded-Host: elsewhere.example\r\nX-Forwarded-Proto: https\r\n";
        let asked = async || balancer.ask(post_with("/webhooks/gigya/main", claims, "{}")).await;
        until("a mirror is believed in", async || asked().await.status == 200).await;
        let heard = asked().await.body.to_lowercase();
        let fields: Vec<_> = heard.lines().filter(|line| line.contains("forwarded")).collect();
        let expected = format!("x-forwarded-for: {address}");
        assert_eq!(fields.iter().filter(|field| field.starts_with("x-forwarded-for:")).count(), 1, "{fields:?}");
        assert!(fields.contains(&expected.as_str()), "{fields:?}");
        assert!(!fields.iter().any(|field| field.starts_with("forwarded:")), "{fields:?}");
        assert!(!heard.contains("elsewhere.example"), "{heard}");
        let is_https = fields.contains(&"x-forwarded-proto: https");
        assert_eq!(is_https, trusts_this_machine && kind != Kind::Envoy, "{fields:?}");
        until("the log has the address", async || balancer.log().contains(address)).await;
    }
}

/// The lines for TLS do when they are uncommented, with nothing older than TLS 1.2.
pub async fn over_tls(kind: Kind) {
    let (_sandbox, outfit) = Sandbox::simulators(Setup::default(), Nobody).await.unwrap();
    let folder = Folder::new(&format!("{kind:?}"));
    let replica = Replica::start(&outfit, &folder, &[]).await;
    let run = |command: &str, arguments: &[&str]| {
        let ran = Command::new(command).args(arguments).current_dir(folder.path()).output().unwrap();
        (ran.status.success(), String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    let names = "subjectAltName=IP:127.0.0.1";
    let request =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test", "-addext", names];
    let (is_made, _) = run("openssl", &[&request[..], &["-out", "webhooks.pem", "-keyout", "webhooks.key"]].concat());
    assert!(is_made);
    let changes = Changes { with_tls: true, ..Changes::default() };
    let balancer = Balancer::start_with(kind, &folder, [replica.ports, replica.ports], changes).await;
    let url = format!("https://{}/webhooks/gigya/main", balancer.at);
    let ask = |more: &[&str]| {
        let common = [
            "-s",
            "-H",
            "content-type: application/json",
            "--cacert",
            "webhooks.pem",
            "-o",
            "body",
            "-w",
            "%{http_code} %{http_version}",
            "-d",
            "{}",
            &url,
        ];
        run("curl", &[&common[..], more].concat())
    };
    until("the replica is believed in", async || ask(&[]).1.starts_with("401")).await;
    assert_eq!(ask(&["--http2"]), (true, "401 2".to_owned()));
    assert_eq!(ask(&["--http1.1"]), (true, "401 1.1".to_owned()));
    assert!(!ask(&["--tls-max", "1.1"]).0, "TLS 1.1 is too old");
}
