//! Both ways against a peer that says, over a real socket, what a test tells it to.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(20);
const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-told: yes\r\n\r\ndone";

fn ways() -> [(&'static str, HttpTransport); 2] {
    let straight = HttpTransport(Way::Straight(Box::new(Straight::new().expect("this machine has TLS"))));
    let winding = HttpTransport(Way::Winding(Winding::new(false).expect("this machine has TLS")));
    [("straight", straight), ("winding", winding)]
}

/// A connection of a peer, on which one request was read: its head, with the body.
async fn asked(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let seen = String::from_utf8_lossy(&text).to_lowercase();
        if let Some((head, body)) = seen.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().expect("a number") {
                return seen;
            }
        }
        assert_ne!(connection.read_buf(&mut text).await.expect("readable"), 0, "the client went away");
    }
}

async fn peer() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = format!("http://{}", listener.local_addr().expect("bound"));
    (listener, place)
}

/// A peer that reads one request and answers with these bytes, then closes.
async fn answers(with: Vec<u8>) -> (String, JoinHandle<String>) {
    let (listener, place) = peer().await;
    let told = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let asked = asked(&mut connection).await;
        // The client may have heard enough.
        connection.write_all(&with).await.ok();
        asked
    });
    (place, told)
}

fn post(place: &str) -> Request<Bytes> {
    let request = Request::post(format!("{place}/accounts.getAccountInfo?a=b%20c"));
    request.header("content-type", "application/x-www-form-urlencoded").body("UID=u1".into()).expect("a request")
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_the_answer_as_it_was_given() {
    for (way, transport) in ways() {
        let (place, told) = answers(FINE.into()).await;
        let answer = transport.send(post(&place), LONG).await.expect(way);
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, &b"done"[..]), "{way}");
        assert_eq!(answer.headers()["x-told"], "yes", "{way}");
        let asked = told.await.expect("told");
        let host = place.trim_start_matches("http://");
        for expected in [
            "post /accounts.getaccountinfo?a=b%20c http/1.1\r\n",
            "\r\ncontent-type: application/x-www-form-urlencoded\r\n",
            "\r\ncontent-length: 6\r\n",
            "\r\naccept: */*\r\n",
            &format!("\r\nhost: {host}\r\n"),
            &format!("\r\nuser-agent: {USER_AGENT}\r\n"),
            "\r\n\r\nuid=u1",
        ] {
            assert!(asked.contains(expected), "{way}: {expected} not in {asked}");
        }
    }
}

#[tokio::test]
async fn what_a_caller_accepts_and_calls_itself_is_kept() {
    for (way, transport) in ways() {
        let (place, told) = answers(FINE.into()).await;
        let request = Request::get(place).header("accept", "text/xml").header("user-agent", "described");
        transport.send(request.body(Bytes::new()).expect("a request"), LONG).await.expect(way);
        let asked = told.await.expect("told");
        for (name, value) in [("accept", "text/xml"), ("user-agent", "described")] {
            assert_eq!(asked.matches(&format!("\r\n{name}: ")).count(), 1, "{way}: {asked}");
            assert!(asked.contains(&format!("\r\n{name}: {value}\r\n")), "{way}: {asked}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    for (way, transport) in ways() {
        let (place, _told) = answers(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\n\r\n".into()).await;
        assert_eq!(transport.send(post(&place), LONG).await.expect(way).status().as_u16(), 302, "{way}");
    }
}

#[tokio::test]
async fn an_answer_in_pieces_is_put_together() {
    for (way, transport) in ways() {
        let pieces = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
        let (place, _told) = answers(pieces.into()).await;
        assert_eq!(transport.send(post(&place), LONG).await.expect(way).body().as_ref(), b"abcdefg", "{way}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent_and_the_reason_tells_no_address() {
    for (way, transport) in ways() {
        let (listener, place) = peer().await;
        drop(listener);
        let failed = transport.send(post(&format!("{place}/ann@example.com")), LONG).await.expect_err(way);
        let TransportError::NotConnected(reason) = failed else { panic!("{way}: {failed:?}") };
        assert!(reason.to_lowercase().contains("refused") && !reason.contains("ann"), "{way}: {reason}");
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_connected() {
    for (way, transport) in ways() {
        let (listener, place) = peer().await;
        let told = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
            let mut hello = Vec::new();
            connection.read_to_end(&mut hello).await.ok();
        });
        let failed = transport.send(post(&place.replace("http:", "https:")), LONG).await.expect_err(way);
        assert!(matches!(failed, TransportError::NotConnected(_)), "{way}: {failed:?}");
        told.abort();
    }
}

#[tokio::test]
async fn no_answer_in_time_is_told_apart_from_a_broken_connection() {
    for (way, transport) in ways() {
        for (with, ends, expected) in [
            ("", false, TransportError::TimedOut),
            ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", false, TransportError::TimedOut),
            ("", true, TransportError::Broken),
            ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", true, TransportError::Broken),
            ("SMTP, perhaps\r\n\r\n", true, TransportError::Broken),
        ] {
            let (listener, place) = peer().await;
            let told = tokio::spawn(async move {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                asked(&mut connection).await;
                connection.write_all(with.as_bytes()).await.expect("written");
                if !ends {
                    std::future::pending::<()>().await;
                }
            });
            let timeout = if ends { LONG } else { Duration::from_millis(50) };
            let failed = transport.send(post(&place), timeout).await.expect_err(way);
            assert_eq!(failed, expected, "{way}: {with} {ends}");
            told.abort();
        }
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    for (way, transport) in ways() {
        let mut endless = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_ANSWER + 1).into_bytes();
        endless.resize(endless.len() + MAX_ANSWER + 1, b' ');
        let (place, _told) = answers(endless).await;
        assert_eq!(transport.send(post(&place), LONG).await.expect_err(way), TransportError::TooLarge, "{way}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_calls_until_the_peer_says_that_it_closes_it() {
    for (way, transport) in ways() {
        let (listener, place) = peer().await;
        let told = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                for last in [false, false, true] {
                    asked(&mut connection).await;
                    let more = if last { "\r\nconnection: close" } else { "" };
                    let fine = FINE.replacen("\r\nx-told", &format!("{more}\r\nx-told"), 1);
                    connection.write_all(fine.as_bytes()).await.expect("written");
                }
            }
        });
        for call in 0..6 {
            let answer = transport.send(post(&place), LONG).await;
            assert_eq!(answer.map(|answer| answer.status().as_u16()), Ok(200), "{way}: call {call}");
        }
        told.await.expect("six requests on two connections");
    }
}

#[tokio::test]
async fn a_call_on_a_connection_that_was_just_closed_is_made_on_a_new_one() {
    for (way, transport) in ways() {
        let (listener, place) = peer().await;
        let told = tokio::spawn(async move {
            for _ in 0..3 {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                asked(&mut connection).await;
                connection.write_all(FINE.as_bytes()).await.expect("written");
            }
        });
        for call in 0..3 {
            let answer = transport.send(post(&place), LONG).await;
            assert_eq!(answer.map(|answer| answer.status().as_u16()), Ok(200), "{way}: call {call}");
        }
        told.await.expect("each on a connection of its own");
    }
}

#[tokio::test]
async fn calls_at_once_have_a_connection_each_and_leave_it_to_the_next() {
    for (way, transport) in ways() {
        let (listener, place) = peer().await;
        let told = tokio::spawn(async move {
            let ((mut one, _), (mut other, _)) =
                (listener.accept().await.expect("one"), listener.accept().await.expect("another"));
            for _ in 0..3 {
                tokio::join!(asked(&mut one), asked(&mut other));
                one.write_all(FINE.as_bytes()).await.expect("written");
                other.write_all(FINE.as_bytes()).await.expect("written");
            }
        });
        for _ in 0..3 {
            let (one, other) = tokio::join!(transport.send(post(&place), LONG), transport.send(post(&place), LONG));
            assert!(one.is_ok() && other.is_ok(), "{way}: {one:?} {other:?}");
        }
        told.await.expect("six requests on two connections");
    }
}

#[tokio::test]
async fn a_connection_that_owes_an_answer_is_not_used_for_another_call() {
    for (way, transport) in ways() {
        let (listener, place) = peer().await;
        let told = tokio::spawn(async move {
            let (mut owing, _) = listener.accept().await.expect("a connection");
            asked(&mut owing).await;
            owing.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.expect("written");
            let (mut next, _) = listener.accept().await.expect("another connection");
            asked(&mut next).await;
            next.write_all(FINE.as_bytes()).await.expect("written");
            drop(owing);
        });
        let late = transport.send(post(&place), Duration::from_millis(50)).await.expect_err(way);
        assert_eq!(late, TransportError::TimedOut, "{way}");
        assert!(transport.send(post(&place), LONG).await.is_ok(), "{way}");
        told.await.expect("two connections");
    }
}

/// An answer that doesn't wait for the whole request, as from a server that finds it too large. (By the winding way that is no
/// answer at all.)
#[tokio::test]
async fn a_connection_whose_request_was_not_sent_to_its_end_is_not_used_for_another() {
    let [(_, transport), _] = ways();
    let (listener, place) = peer().await;
    let told = tokio::spawn(async move {
        let (mut early, _) = listener.accept().await.expect("a connection");
        early.read_exact(&mut [0; 4]).await.expect("a request begins");
        early.write_all(FINE.as_bytes()).await.expect("written");
        let (mut next, _) = listener.accept().await.expect("another connection");
        asked(&mut next).await;
        next.write_all(FINE.as_bytes()).await.expect("written");
        drop(early);
    });
    let large = Request::post(&place).body(vec![b'x'; 32 << 20].into()).expect("a request");
    let answer = transport.send(large, LONG).await.map(|answer| answer.status().as_u16());
    assert_eq!(answer, Ok(200));
    assert!(transport.send(post(&place), LONG).await.is_ok());
    told.await.expect("two connections");
}

/// Nobody's host is called: without a proxy that is no connection, and with one it is the proxy's to know better.
#[tokio::test]
async fn a_host_that_is_nowhere_is_reached_by_a_proxy_only() {
    let answer = HttpTransport::new().expect("this machine has TLS").send(post("http://gigya.invalid"), LONG).await;
    match answer {
        Ok(_) => assert!(env::var_os("HTTP_PROXY").is_some()),
        Err(failed) => assert!(matches!(failed, TransportError::NotConnected(_)), "{failed:?}"),
    }
}

/// Runs one of these tests in a process of its own.
fn in_another_process(test: &str, environment: &[(&str, &str)]) -> std::process::Output {
    std::process::Command::new(env::current_exe().expect("this very file"))
        .args(["--nocapture", "--exact", &format!("upstream::transport::tests::{test}")])
        .envs(environment.iter().copied())
        .output()
        .expect("ran")
}

/// By the test before, in a process that has a proxy in its environment.
#[tokio::test]
async fn calls_go_through_the_proxy_that_the_environment_names() {
    let (proxy, told) = answers(FINE.into()).await;
    let again = tokio::task::spawn_blocking(move || {
        in_another_process("a_host_that_is_nowhere_is_reached_by_a_proxy_only", &[("HTTP_PROXY", &proxy)])
    });
    let ran = again.await.expect("ran");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    let asked = told.await.expect("told");
    assert!(asked.starts_with("post http://gigya.invalid/accounts.getaccountinfo?a=b%20c http/1.1\r\n"), "{asked}");
}

#[test]
fn what_keeps_tls_from_being_set_up_is_told() {
    for error in [Straight::new().err(), Winding::new(false).err()].into_iter().flatten() {
        println!("{error}");
    }
}

/// By the test before, in a process that finds no CA certificates.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_ca_certificates_is_told_so() {
    let nowhere = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let ran = in_another_process("what_keeps_tls_from_being_set_up_is_told", &nowhere);
    let told = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(told.matches("No CA certificates were loaded").count(), 2, "{told}");
}
