//! What is proved at Gigya: credentials for every site, and each permission by a call that can't change anything.
//!
//! Whether an account may be written is asked with a UID that can't exist. A missing permission has a code of its own; the
//! codes of an unknown UID tell that the call would have been made. (Which of the two is looked at first isn't documented, so
//! this one proof may say yes too early.)

use super::{GigyaSetUp, explained};
use crate::config::GigyaWebhookAuth;
use crate::esp::setup::{Finding, look};
use crate::upstream::{Attempts, Fault};
use uuid::Uuid;

impl GigyaSetUp {
    /// Whether they are good for the first site, on which everything else is asked.
    pub(super) async fn prove_credentials(&self, proofs: &mut Vec<Finding>) -> bool {
        let mut first = true;
        for (index, api_key) in self.connection.api_keys.iter().enumerate() {
            let subject = format!("credentials for {api_key}");
            let form = vec![("query", "SELECT UID FROM accounts LIMIT 1".to_owned())];
            let asked = self.client.call("accounts.search", Attempts::Few, form, Some(api_key), look()).await;
            let asked = asked.and_then(|answer| answer.ok_or(Fault::Configuration { code: 403_005 }));
            match asked {
                Ok(_) => proofs.push(self.scribe.ok(&subject, "accounts.search is answered")),
                Err(fault) => {
                    first &= index != 0;
                    proofs.push(self.scribe.trouble(&subject, fault, &explained(fault)));
                }
            }
        }
        first
    }

    pub(super) async fn prove_permissions(&self, proofs: &mut Vec<Finding>) {
        let nobody = || vec![("UID", format!("esp-gateway-probe-{}", Uuid::new_v4().simple()))];
        let mut writing = nobody();
        writing.push(("subscriptions", "{}".to_owned()));
        let probes = [
            ("accounts.getAccountInfo", nobody(), "may be called"),
            ("accounts.setAccountInfo", writing, "may be called, as far as asking for nobody tells"),
            ("accounts.webhooks.getAll", Vec::new(), "may be called"),
        ];
        for (operation, form, detail) in probes {
            let subject = format!("permission for {operation}");
            proofs.push(match self.client.call(operation, Attempts::Few, form, None, look()).await {
                Ok(_) | Err(Fault::Refused { .. }) => self.scribe.ok(&subject, detail),
                Err(fault) => self.scribe.trouble(&subject, fault, &explained(fault)),
            });
        }
        if matches!(self.connection.webhook_auth, GigyaWebhookAuth::Jwt { .. }) {
            let subject = "public keys";
            let api_key = self.connection.api_keys.first().map_or("", String::as_str);
            proofs.push(match self.client.public_keys(api_key, look()).await {
                Ok(keys) => {
                    if keys.has_usable() {
                        self.scribe.ok(subject, "can be had")
                    } else {
                        let fault = Fault::Unavailable { cause: "no usable key in the answer" };
                        self.scribe.trouble(subject, fault, &explained(fault))
                    }
                }
                Err(fault) => self.scribe.trouble(subject, fault, &explained(fault)),
            });
        }
    }
}
