//! A sender that can also misbehave: it writes whatever bytes it is given. What it hears is held against the API
//! document.

pub use crate::contract::Answer;
use crate::contract::wire::take_request;
use crate::contract::{Exchange, Port, hold};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing in these tests takes this long; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    stream: TcpStream,
    /// Which of the gateway's; none if something else is between.
    port: Option<Port>,
    /// What was sent and not answered yet.
    sent: Vec<u8>,
    buffer: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The last part of the problem's type, having checked what every problem must have.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert!(body["title"].is_string() && body["detail"].is_string());
        if self.status != 401 {
            assert_eq!(body["instance"].as_str(), self.header("x-request-id"));
        }
        let kind = body["type"].as_str().unwrap().strip_prefix("urn:problem:gigya-esp-gateway:");
        kind.unwrap().to_owned()
    }
}

pub fn post(path: &str, body: &str) -> String {
    post_with(path, "", body)
}

pub fn post_with(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

impl Client {
    pub async fn connect(to: SocketAddr) -> Self {
        Self::try_connect(to).await.unwrap()
    }

    pub async fn try_connect(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        Ok(Self { stream, port: Some(Port::Webhooks), sent: Vec::new(), buffer: Vec::new() })
    }

    /// To the operations port.
    pub async fn connect_admin(to: SocketAddr) -> Self {
        Self::try_connect_admin(to).await.unwrap()
    }

    pub async fn try_connect_admin(to: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { port: Some(Port::Operations), ..Self::try_connect(to).await? })
    }

    /// To something that stands in front of the gateway, and has answers of its own.
    #[allow(dead_code, reason = "tests/processes has such")]
    pub async fn connect_before(to: SocketAddr) -> Self {
        Self { port: None, ..Self::connect(to).await }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.sent.extend_from_slice(bytes.as_ref());
        self.stream.write_all(bytes.as_ref()).await
    }

    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// Closes this side only.
    pub async fn say_no_more(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("the connection was closed without an answer")
    }

    /// The next answer, or `None` if the connection is closed instead.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("neither answered nor closed")
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < end + 4 + length {
            self.more().await?;
        }
        answer.body = String::from_utf8(self.buffer[end + 4..end + 4 + length].to_vec()).unwrap();
        self.buffer.drain(..end + 4 + length);
        self.hold(&answer);
        Some(answer)
    }

    fn hold(&mut self, answer: &Answer) {
        let request = take_request(&mut self.sent);
        let Some(port) = self.port else { return };
        hold(&Exchange {
            port,
            request: request.as_ref().map(|(method, target)| (method.as_str(), target.as_str())),
            status: answer.status,
            headers: &answer.headers,
            body: answer.body.as_bytes(),
        });
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap_or(0);
        (read > 0).then_some(())
    }

    /// Waits until the gateway closes the connection, without another answer.
    pub async fn closed(&mut self) {
        let answer = self.try_answer().await;
        assert!(answer.is_none(), "{answer:?}");
    }
}
