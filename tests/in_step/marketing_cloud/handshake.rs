//! A new callback is verified, while one is expected.

use super::town::{ALL, MarketingCloudTown, setup};
use crate::town::Town;
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::marketing_cloud::MarketingCloudSim;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// The account's own API, as its owner calls it.
struct Owner {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Owner {
    async fn of(cloud: &MarketingCloudSim) -> Self {
        // A second door to the same account.
        let base = format!("http://{}", cloud.serve().await.unwrap());
        let settings = cloud.settings();
        let client = reqwest::Client::new();
        let asked = json!({
            "grant_type": "client_credentials", "client_id": settings.client_id,
            "client_secret": settings.client_secret, "account_id": settings.account_id,
        });
        let request = client.post(format!("{base}/v2/token")).header("content-type", "application/json");
        let answer = request.body(asked.to_string()).send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        Self { client, base, token: answer["access_token"].as_str().unwrap().to_owned() }
    }

    /// Registers a callback; the status, and the answer.
    async fn registers(&self, url: &str) -> (u16, Value) {
        let callback = json!([{ "callbackName": "gateway", "url": url, "maxBatchSize": 100 }]);
        let request = self.client.post(format!("{}/platform/v1/ens-callbacks", self.base)).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json").body(callback.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// Waits until a callback is verified.
    async fn sees_verified(&self, id: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            let request = self.client.get(format!("{}/platform/v1/ens-callbacks/{id}", self.base));
            let answer = request.bearer_auth(&self.token).send().await.unwrap().text().await.unwrap();
            if answer.contains("\"verified\"") {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

async fn registers(town: &Town) -> (Owner, u16, Value) {
    let owner = Owner::of(town.cloud()).await;
    // The first replica's is registered already.
    let (status, answer) = owner.registers(&town.sandbox.marketing_cloud_url(1)).await;
    (owner, status, answer)
}

#[tokio::test]
async fn a_callback_that_is_expected_is_answered_at_once_and_verified() {
    let town = Town::with(Setup { replicas: 2, ..setup(ALL, "registering = true") }).await;
    let (owner, status, answer) = registers(&town).await;
    assert_eq!(status, 201, "{answer}");
    assert!(answer[0]["signatureKey"].is_string());
    assert!(owner.sees_verified(answer[0]["callbackId"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_callback_that_nobody_expects_is_refused_and_nothing_is_called() {
    let town = Town::with(Setup { replicas: 2, ..setup(ALL, "") }).await;
    let (_, status, answer) = registers(&town).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(town.cloud().faults().calls("ens.verify"), 0);
}
