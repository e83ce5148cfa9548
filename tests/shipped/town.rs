//! A town with Gigya, the gateway, and one guest.

use crate::contract::Held;
use crate::guests::{Guest, Provider};
use gigya_esp_gateway::sandbox::{Attempt, Esps, Sandbox, Setup, Surroundings};
use std::time::Duration;
use tokio::sync::broadcast;

/// The subscription that the route is about.
pub const NEWSLETTER: &str = "newsletter";

pub struct Town {
    pub sandbox: Sandbox,
    pub guest: Guest,
    attempts: broadcast::Receiver<Attempt>,
}

impl Town {
    pub async fn of(provider: Provider) -> Self {
        Self::with(async |around| provider.join(around).await, "").await
    }

    /// With further lines for the route.
    pub async fn routed(provider: Provider, route: &str) -> Self {
        Self::with(async |around| provider.join(around).await, route).await
    }

    pub async fn with(join: impl AsyncFnOnce(Surroundings) -> Guest, route: &str) -> Self {
        let setup = Setup::with_esps(Esps::Neither);
        let (mut sandbox, mut outfit) = Sandbox::simulators(setup, Held::default()).await.unwrap();
        let guest = join(Surroundings::real(sandbox.clock.clone(), sandbox.attempts.clone())).await;
        let Guest { lines, audience, first_name, .. } = &guest;
        outfit.configuration.push_str(&format!(
            r#"
[http.guest]
{lines}
secrets = {{ api_key = {{ env = "GUEST_API_KEY" }} }}
callback_secrets = [{{ env = "GUEST_CALLBACK_SECRET" }}]

[[route]]
subscription = "main/newsletter"
audience = "guest/{audience}"
fields = {{ {first_name} = "profile.firstName" }}
{route}
"#
        ));
        outfit.environment.push(("GUEST_API_KEY", guest.api_key.clone()));
        outfit.environment.push(("GUEST_CALLBACK_SECRET", guest.callback_secret.clone()));
        sandbox.esps.push(guest.esp.clone());
        sandbox.open(outfit, 1).await.unwrap();
        guest.esp.courier().show_to(sandbox.witness());
        let token = guest.token.as_ref().map(|token| format!("/{token}")).unwrap_or_default();
        guest.esp.courier().deliver_to(&format!("http://{}/webhooks/http/guest{token}", sandbox.gateways[0]));
        let attempts = sandbox.attempts.subscribe();
        Self { sandbox, guest, attempts }
    }

    /// Somebody with an account that is opted in, on both sides.
    pub async fn subscriber(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        assert!(self.mails(name), "{name} is subscribed at {}", self.guest.esp.name());
        uid
    }

    /// The same where callbacks can't arrive.
    pub async fn subscriber_without_echo(&self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        assert!(self.sandbox.gigya.courier().settled(Duration::from_secs(60)).await);
        assert!(self.mails(name));
        self.guest.esp.courier().forget();
        uid
    }

    /// Waits until every webhook, echoes too, is delivered.
    pub async fn quiet(&self) {
        let name = self.guest.esp.name();
        assert!(self.sandbox.settled(Duration::from_secs(60)).await, "{name}: webhooks are never done");
    }

    pub fn mails(&self, name: &str) -> bool {
        self.guest.esp.mails(&address(name))
    }

    pub fn gigya(&self, uid: &str) -> Option<bool> {
        self.sandbox.gigya.is_subscribed(uid, NEWSLETTER)
    }

    pub fn follows_the_unsubscribe_link(&self, name: &str) {
        assert!(self.guest.esp.unsubscribe_link(&address(name)), "{}", self.guest.esp.name());
    }

    /// Outcomes in the answers since the last time: `applied`, `skipped:newer_opt_out`, ...
    pub fn outcomes(&mut self) -> Vec<String> {
        let mut outcomes = Vec::new();
        while let Ok(answer) = self.attempts.try_recv() {
            let body: serde_json::Value = serde_json::from_str(&answer.answer).unwrap_or_default();
            for event in body["events"].as_array().into_iter().flatten() {
                let outcome = event["outcome"].as_str().unwrap();
                let reason = event["reason"].as_str().map(|reason| format!(":{reason}")).unwrap_or_default();
                outcomes.push(format!("{outcome}{reason}"));
            }
        }
        outcomes
    }

    /// Lets a second pass, so that times that are told by the second differ.
    pub fn a_moment_passes(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }
}

pub fn address(name: &str) -> String {
    format!("{name}@example.org")
}
