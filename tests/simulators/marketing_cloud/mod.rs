//! Marketing Cloud: an account to call, and a receiver to be called.

mod delivery;
mod events;
mod rest;
mod subscribers;
mod whole;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use gigya_esp_gateway::sandbox::Surroundings;
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSettings, MarketingCloudSim};
use gigya_esp_gateway::sandbox::{Attempt, Clock};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

pub const LIST: &str = "69238";
const OTHER_LIST: &str = "70001";

pub struct Account {
    pub sim: MarketingCloudSim,
    base: String,
    pub clock: Clock,
    attempts: broadcast::Sender<Attempt>,
    token: String,
}

impl Account {
    pub async fn with(settings: MarketingCloudSettings) -> Self {
        let (clock, attempts) = (Clock::default(), broadcast::channel(1000).0);
        let sim = MarketingCloudSim::start(settings, Surroundings::real(clock.clone(), attempts.clone()));
        let base = format!("http://{}", sim.serve().await.unwrap());
        let mut account = Self { sim, base, clock, attempts, token: String::new() };
        account.log_in().await;
        account
    }

    pub async fn new() -> Self {
        Self::with(MarketingCloudSettings::default()).await
    }

    async fn log_in(&mut self) {
        let (status, answer) = self.ask_for_token(self.credentials()).await;
        assert_eq!(status, 200, "{answer}");
        self.token = answer["access_token"].as_str().unwrap().to_owned();
    }

    fn credentials(&self) -> Value {
        let settings = self.sim.settings();
        json!({
            "grant_type": "client_credentials", "client_id": settings.client_id,
            "client_secret": settings.client_secret, "account_id": settings.account_id,
        })
    }

    async fn ask_for_token(&self, body: Value) -> (u16, Value) {
        self.rest("POST", "/v2/token", body).await
    }

    async fn rest(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", self.base));
        let request = request.bearer_auth(&self.token).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A SOAP call; `inner` is what the request holds.
    async fn soap(&self, action: &str, inner: &str) -> (u16, String) {
        let message = match action {
            "Retrieve" | "Execute" => format!("{action}RequestMsg"),
            _ => format!("{action}Request"),
        };
        let envelope = format!(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><Header><fueloauth \
             xmlns=\"http://exacttarget.com\">{}</fueloauth></Header><Body><{message} \
             xmlns=\"http://exacttarget.com/wsdl/partnerAPI\">{inner}</{message}></Body></Envelope>",
            self.token
        );
        self.soap_text(action, envelope).await
    }

    async fn soap_text(&self, action: &str, envelope: String) -> (u16, String) {
        let request = reqwest::Client::new().post(format!("{}/Service.asmx", self.base));
        let request = request.header("content-type", "text/xml").header("SOAPAction", action);
        let answer = request.body(envelope).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Creates or updates a subscriber by SOAP; returns the error code, if any.
    async fn upsert(&self, subscriber: &str) -> Option<String> {
        let options = "<Options><SaveOptions><SaveOption><PropertyName>*</PropertyName>\
                       <SaveAction>UpdateAdd</SaveAction></SaveOption></SaveOptions></Options>";
        self.write("Create", &format!("{options}{}", object(subscriber))).await
    }

    /// Any write of one subscriber; returns the error code, if any.
    async fn write(&self, action: &str, inner: &str) -> Option<String> {
        let (status, answer) = self.soap(action, inner).await;
        assert_eq!(status, 200, "errors are told in the body: {answer}");
        let code = values(&answer, "ErrorCode").first().map(|&code| code.to_owned());
        assert_eq!(values(&answer, "StatusCode"), [if code.is_some() { "Error" } else { "OK" }]);
        code
    }

    async fn retrieve(&self, object: &str, properties: &[&str], filter: &str) -> String {
        let properties = elements("Properties", properties);
        let asked = format!("<ObjectType>{object}</ObjectType>{properties}{filter}");
        let (status, answer) = self.soap("Retrieve", &format!("<RetrieveRequest>{asked}</RetrieveRequest>")).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

fn object(subscriber: &str) -> String {
    format!("<Objects xsi:type=\"Subscriber\">{subscriber}</Objects>")
}

/// A filter of one property that equals one value.
pub fn equals(property: &str, value: &str) -> String {
    format!("<Filter xsi:type=\"SimpleFilterPart\">{}</Filter>", simple(property, "equals", &[value]))
}

fn simple(property: &str, operator: &str, values: &[&str]) -> String {
    let values = elements("Value", values);
    format!("<Property>{property}</Property><SimpleOperator>{operator}</SimpleOperator>{values}")
}

/// An element of a name for each text.
fn elements(name: &str, texts: &[&str]) -> String {
    texts.iter().map(|text| format!("<{name}>{text}</{name}>")).collect::<Vec<_>>().concat()
}

/// What every element of a name says.
fn values<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&start).skip(1).map(|rest| rest.split(&end).next().unwrap()).collect()
}

/// Somebody to be called, who answers as told and remembers everything.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    /// The last of the statuses is for all further calls.
    async fn answering(statuses: &'static [u16]) -> Self {
        let got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let heard = Arc::clone(&got);
        let answer = move |headers: HeaderMap, body: Bytes| async move {
            let mut heard = heard.lock().unwrap();
            heard.push((headers, body));
            let status = StatusCode::from_u16(statuses[(heard.len() - 1).min(statuses.len() - 1)]).unwrap();
            // Only a redirection makes anything of this.
            (status, [("location", "/elsewhere")])
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        Self { url, got }
    }

    fn bodies(&self) -> Vec<Value> {
        self.got.lock().unwrap().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }
}

/// Waits until something is so.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect(what);
}
