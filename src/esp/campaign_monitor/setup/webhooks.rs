//! Which webhook of a list is ours, and what becomes of it.
//!
//! There is no call that changes one: a right one is made, and tried, before the wrong one is deleted, so that events come
//! all the time. Nothing over there prevents two webhooks to one URL.

use super::calls::{EVENTS, FORMAT, Tested, Webhook};
use super::{CampaignMonitorSetUp, Planned, explained};
use crate::esp::setup::{State, Trouble};
use secrecy::ExposeSecret;

/// What is to be done about a list's webhooks, by their ids.
pub enum Todo {
    /// Make one, try it, and delete the wrong ones.
    Create {
        wrong: Vec<String>,
    },
    Activate(String),
    Delete(String),
}

impl CampaignMonitorSetUp {
    /// Where a list's events are to go: the URL ends in the first token.
    fn url(&self) -> Option<String> {
        let token = self.settings.callback_tokens.first()?.expose_secret();
        Some(format!("{}{token}", self.prefix.as_ref()?))
    }

    pub(super) async fn plan_webhooks(&self, list: &str) -> Vec<Planned> {
        let subject = format!("list {list}: webhook");
        let (Some(prefix), Some(url)) = (&self.prefix, self.url()) else {
            let detail = "not looked at, as server.public_url doesn't say where it should go";
            return vec![Planned::seen(self.scribe.remark(&subject, detail))];
        };
        let held = match self.api.webhooks(list).await {
            Ok(held) => held,
            Err(fault) => return vec![Planned::seen(self.scribe.trouble(&subject, fault, &explained(fault)))],
        };
        let is_ours =
            |webhook: &&Webhook| webhook.url.starts_with(prefix) || webhook.url == prefix.trim_end_matches('/');
        let (mut right, wrong): (Vec<_>, Vec<_>) =
            held.iter().filter(is_ours).partition(|webhook| faults_of(webhook, &url).is_empty());
        right.sort_by_key(|webhook| !is_active(webhook));
        let shown = format!("{prefix}(token)");
        let todo = |todo| Some(super::Todo::Webhook(list.to_owned(), todo));
        let Some((first, others)) = right.split_first() else {
            let ids = wrong.iter().map(|webhook| webhook.id.clone()).collect();
            let finding = match wrong.first() {
                None => self.scribe.ours(&subject, State::Missing, &shown, "create and test it"),
                Some(webhook) => {
                    let detail = format!("{shown} {}", faults_of(webhook, &url).join(", "));
                    let fix = "create a right one, test it, and delete this";
                    self.scribe.ours(&subject, State::Differs, &detail, fix)
                }
            };
            return vec![Planned { finding, todo: todo(Todo::Create { wrong: ids }) }];
        };
        let mut planned = Vec::new();
        if is_active(first) {
            planned.push(Planned::seen(self.scribe.ok(&subject, &shown)));
        } else {
            let detail = format!("{shown} is switched off, as after a week of failures");
            let finding = self.scribe.ours(&subject, State::Deactivated, &detail, "activate and test it");
            planned.push(Planned { finding, todo: todo(Todo::Activate(first.id.clone())) });
        }
        for webhook in others.iter().chain(&wrong) {
            let faults = faults_of(webhook, &url);
            let why = if faults.is_empty() { "is there once more".to_owned() } else { faults.join(", ") };
            let finding = self.scribe.ours(&subject, State::Extra, &format!("{shown} {why}"), "delete it");
            planned.push(Planned { finding, todo: todo(Todo::Delete(webhook.id.clone())) });
        }
        planned
    }

    pub(super) async fn mend_webhook(&self, list: &str, todo: Todo) -> Result<String, Trouble> {
        match todo {
            Todo::Create { wrong } => {
                let url = self.url().unwrap_or_default();
                let id = self.api.create_webhook(list, &url).await.map_err(explained)?;
                self.test(list, &id, "created").await?;
                for old in &wrong {
                    self.api.delete_webhook(list, old).await.map_err(explained)?;
                }
                Ok(match wrong.len() {
                    0 => "created and tested".to_owned(),
                    1 => "created and tested, and the wrong one deleted".to_owned(),
                    count => format!("created and tested, and {count} wrong ones deleted"),
                })
            }
            Todo::Activate(id) => {
                self.api.activate_webhook(list, &id).await.map_err(explained)?;
                self.test(list, &id, "activated").await?;
                Ok("activated and tested".to_owned())
            }
            Todo::Delete(id) => {
                self.api.delete_webhook(list, &id).await.map_err(explained)?;
                Ok("deleted".to_owned())
            }
        }
    }

    /// Campaign Monitor calls the gateway with made-up people, which go all the way to Gigya.
    async fn test(&self, list: &str, id: &str, done: &str) -> Result<(), Trouble> {
        let what = match self.api.test_webhook(list, id).await {
            Ok(Tested::Delivered) => return Ok(()),
            Ok(Tested::NotDelivered(Some(status))) => format!("the gateway answered {status}"),
            Ok(Tested::NotDelivered(None)) => "Campaign Monitor got no answer".to_owned(),
            Err(fault) => explained(fault).what,
        };
        Err(Trouble::new(
            format!("{done}, but its test failed: {what} (code 610)"),
            "see that the gateway runs with this configuration, that server.public_url leads to it from outside, and what \
             its log says; Campaign Monitor delivers to it once it does",
        ))
    }
}

fn is_active(webhook: &Webhook) -> bool {
    webhook.status.eq_ignore_ascii_case("active")
}

/// What is wrong with a webhook of ours.
fn faults_of(webhook: &Webhook, url: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if webhook.url != url {
        faults.push("ends in another token than the first of callback_tokens".to_owned());
    }
    if !EVENTS.iter().all(|event| webhook.events.iter().any(|held| held.eq_ignore_ascii_case(event))) {
        faults.push(format!("is told of {} only", webhook.events.join(", ")));
    }
    if !webhook.payload_format.eq_ignore_ascii_case(FORMAT) {
        faults.push(format!("comes as {}", webhook.payload_format));
    }
    faults
}
