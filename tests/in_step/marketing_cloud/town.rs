//! A town whose ESP is Marketing Cloud.

use crate::contract::{Port, ask};
use crate::town::{NEWSLETTER, Town, address};
use gigya_esp_gateway::sandbox::marketing_cloud::{MarketingCloudSim, SubscriberView};
use gigya_esp_gateway::sandbox::{Esps, Setup};
use serde_json::Value;

pub const ALL: &str = "all-subscribers";
pub const ON_LIST: &str = "publication-list:69238";
pub const ALL_AND_ROW: &str = "all-subscribers+data-extension:GIGYA_PROFILES";
pub const LIST_AND_ROW: &str = "publication-list:69238+data-extension:GIGYA_PROFILES";
pub const ROW: &str = "data-extension:GIGYA_PROFILES";

/// A town with one audience, and lines for the connection.
pub async fn town(audience: &str, lines: &str) -> Town {
    Town::with(setup(audience, lines)).await
}

pub fn setup(audience: &str, lines: &str) -> Setup {
    let field = if audience.contains("data-extension") { "FirstName" } else { "First Name" };
    Setup {
        esps: Esps::MarketingCloud,
        marketing_cloud_audience: audience.to_owned(),
        marketing_cloud_lines: lines.to_owned(),
        marketing_cloud_route: format!("fields = {{ \"{field}\" = \"profile.firstName\" }}"),
        ..Setup::default()
    }
}

/// The list of an audience, if it has one.
pub fn list_of(audience: &str) -> Option<&str> {
    audience.strip_prefix("publication-list:").map(|rest| rest.split('+').next().unwrap())
}

/// What a Marketing Cloud town's stories ask about.
pub trait MarketingCloudTown {
    fn cloud(&self) -> &MarketingCloudSim;

    /// Somebody with an account, opted in on both sides.
    async fn newcomer(&self, name: &str) -> String;

    fn held(&self, uid: &str) -> SubscriberView {
        self.cloud().subscriber(uid).unwrap()
    }

    /// Whether mail goes to somebody's address.
    fn is_mailed(&self, name: &str, audience: &str) -> bool {
        match audience {
            ROW => self.rows_at(name) > 0 && self.cloud().subscribers_at(&address(name)).iter().all(is_not_out),
            _ => self.cloud().is_mailable(&address(name), list_of(audience)),
        }
    }

    fn rows_at(&self, name: &str) -> usize;

    /// Sends a body as Marketing Cloud would, signed; the status, and the answer.
    async fn sends(&self, body: &Value) -> (u16, Value);
}

fn is_not_out(subscriber: &SubscriberView) -> bool {
    subscriber.status.name() != "Unsubscribed"
}

impl MarketingCloudTown for Town {
    fn cloud(&self) -> &MarketingCloudSim {
        &self.sandbox.marketing_cloud
    }

    async fn newcomer(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        self.a_moment_passes();
        uid
    }

    fn rows_at(&self, name: &str) -> usize {
        let accounts = self.sandbox.gigya.accounts();
        let uids = accounts.iter().filter(|account| account.email == address(name)).map(|account| &account.uid);
        uids.filter(|uid| self.cloud().row("GIGYA_PROFILES", uid).is_some()).count()
    }

    async fn sends(&self, body: &Value) -> (u16, Value) {
        let settings = self.cloud().settings();
        let body = body.to_string();
        let signature = gigya_esp_gateway::sandbox::marketing_cloud::sign(
            &settings.signature_key,
            settings.key_reading,
            body.as_bytes(),
        );
        let url = self.sandbox.marketing_cloud_url(0);
        let request = reqwest::Client::new().post(url).header("content-type", "application/json");
        let answer = ask(Port::Webhooks, request.header("x-sfmc-ens-signature", signature).body(body)).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }
}
