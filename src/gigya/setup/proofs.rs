//! What is proved at Gigya: credentials for every site, and each permission by a call that can't change anything.
//!
//! Whether an account may be written, or an address be opted out, is asked with a UID, a token and a subscription that can't
//! exist. A missing permission has a code of its own; the codes of an unknown UID tell that the call would have been made.
//! (Which of the two is looked at first isn't documented, so these proofs may say yes too early.) What can't be asked for
//! nothing is named as not proved.

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
            let form = vec![("query", "SELECT UID FROM accounts LIMIT 1".into())];
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
        const FOR_NOBODY: &str = "may be called, as far as asking for nobody tells";
        let made_up = format!("esp-gateway-probe-{}", Uuid::new_v4().simple());
        let nobody = ("UID", (&*made_up).into());
        let writing = vec![nobody.clone(), ("subscriptions", "{}".into())];
        let token = vec![("emailToken", (&*made_up).into())];
        // `.invalid` is nobody's mail host, by RFC 2606.
        let opting_out =
            vec![("email", format!("{made_up}@example.invalid").into()), ("subscriptionID", (&*made_up).into())];
        let probes = [
            ("accounts.getAccountInfo", vec![nobody], "may be called"),
            ("accounts.getLiteToken", token, FOR_NOBODY),
            ("accounts.setAccountInfo", writing, FOR_NOBODY),
            ("accounts.unsubscribe", opting_out, FOR_NOBODY),
            ("accounts.webhooks.getAll", Vec::new(), "may be called"),
        ];
        for (operation, form, detail) in probes {
            let subject = format!("permission for {operation}");
            proofs.push(match self.client.call(operation, Attempts::Few, form, None, look()).await {
                Ok(_) | Err(Fault::Refused { .. }) => self.scribe.ok(&subject, detail),
                Err(fault) => self.scribe.trouble(&subject, fault, &explained(fault)),
            });
        }
        proofs.push(self.scribe.remark(&self.unproved(), "not proved, as calling it would change something"));
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
    /// The permissions that only the call itself would prove.
    fn unproved(&self) -> String {
        let makes_accounts = self.routes.iter().any(|route| route.create_lite_accounts);
        let registering = makes_accounts.then_some("accounts.initRegistration");
        let all: Vec<_> = registering.into_iter().chain(["accounts.webhooks.set"]).collect();
        format!("permission for {}", all.join(" and "))
    }
}
