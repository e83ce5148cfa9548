//! Brevo, Mailchimp, SendGrid, Klaviyo and Braze.

mod braze;
mod brevo;
mod klaviyo;
mod mailchimp;
mod sendgrid;

use async_trait::async_trait;
use gigya_esp_gateway::sandbox::{Answer, Carrier, Clock, Courier, Sealed, Surroundings};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

/// Takes every webhook, and remembers it.
#[derive(Default)]
struct Letterbox(Mutex<Vec<Sealed>>);

#[async_trait]
impl Carrier for Letterbox {
    async fn carry(&self, _: &str, sealed: &Sealed, _: Duration) -> Option<Answer> {
        self.0.lock().unwrap().push(sealed.clone());
        Some(Answer { status: 200, headers: http::HeaderMap::new(), body: Some(String::new()) })
    }
}

/// A simulated system's surroundings, and what comes out of it.
struct Desk {
    around: Surroundings,
    letterbox: Arc<Letterbox>,
    /// Where its API is.
    base: String,
    /// What each call has.
    headers: Vec<(&'static str, String)>,
}

impl Desk {
    fn new(headers: &[(&'static str, String)]) -> Self {
        let letterbox = Arc::new(Letterbox::default());
        let mut around = Surroundings::real(Clock::default(), broadcast::channel(100).0);
        around.carrier = Arc::<Letterbox>::clone(&letterbox);
        Self { around, letterbox, base: String::new(), headers: headers.to_vec() }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null).await
    }

    /// Every webhook that was sent until now.
    async fn sent(&self, courier: &Courier) -> Vec<Sealed> {
        courier.deliver_to("http://gateway.example/");
        assert!(courier.settled(Duration::from_secs(10)).await);
        self.letterbox.0.lock().unwrap().drain(..).collect()
    }
}

fn header<'a>(sealed: &'a Sealed, name: &str) -> &'a str {
    sealed.headers.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

fn json_of(sealed: &Sealed) -> Value {
    serde_json::from_slice(&sealed.body).unwrap()
}

/// Waits until something in a queue is done.
async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it is never done");
}
