//! Which webhook of a list is ours, and what becomes of it.
//!
//! There is no call that changes one: a right one is made, and tried, before the wrong one is deleted, so that events come
//! all the time. One that looks right may still lead nowhere, if the gateway that runs knows another token: so nothing is
//! deleted before the one that stays has been tried in the same run, and a new one that fails doesn't stay. Nothing over there
//! prevents two webhooks to one URL.

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
    /// Try the one that is kept, and delete the other.
    Delete {
        kept: String,
        extra: String,
    },
}

impl CampaignMonitorSetUp {
    /// Where a list's events are to go: the URL ends in the first token.
    fn url(&self) -> Option<String> {
        let token = self.settings.callback_tokens.first()?.expose_secret();
        Some(format!("{}{token}", self.prefix.as_ref()?))
    }

    /// What webhooks of ours begin with: here, and where the gateway was before.
    fn prefixes(&self) -> impl Iterator<Item = &String> {
        self.prefix.iter().chain(&self.moved_from)
    }

    /// Its URL without its token.
    fn shown(&self, webhook: &Webhook) -> String {
        let begins = self.prefixes().find(|ours| begins_with(&webhook.url, ours));
        format!("{}(token)", begins.map_or("", String::as_str))
    }

    /// What is wrong with a webhook of ours.
    fn faults_of(&self, webhook: &Webhook, url: &str) -> Vec<String> {
        let mut faults = faults_but_url(webhook);
        if self.moved_from.as_ref().is_some_and(|former| begins_with(&webhook.url, former)) {
            faults.insert(0, "is where the gateway was before".to_owned());
        } else if webhook.url != url {
            faults.insert(0, "ends in another token than the first of callback_tokens".to_owned());
        }
        faults
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
        let is_ours = |webhook: &&Webhook| self.prefixes().any(|ours| begins_with(&webhook.url, ours));
        let (mut right, wrong): (Vec<_>, Vec<_>) =
            held.iter().filter(is_ours).partition(|webhook| self.faults_of(webhook, &url).is_empty());
        // By id, too: two runs at once keep the same one.
        right.sort_by_key(|webhook| (!is_active(webhook), webhook.id.clone()));
        let shown = format!("{prefix}(token)");
        let todo = |todo| Some(super::Todo::Webhook(list.to_owned(), todo));
        let Some((first, others)) = right.split_first() else {
            let ids = wrong.iter().map(|webhook| webhook.id.clone()).collect();
            let finding = match wrong.first() {
                None => self.scribe.ours(&subject, State::Missing, &shown, "create and test it"),
                Some(webhook) => {
                    let detail = format!("{} {}", self.shown(webhook), self.faults_of(webhook, &url).join(", "));
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
            let faults = self.faults_of(webhook, &url);
            let why = if faults.is_empty() { "is there once more".to_owned() } else { faults.join(", ") };
            let finding = self.scribe.ours(
                &subject,
                State::Extra,
                &format!("{} {why}", self.shown(webhook)),
                "test the other one, and delete this",
            );
            let (kept, extra) = (first.id.clone(), webhook.id.clone());
            planned.push(Planned { finding, todo: todo(Todo::Delete { kept, extra }) });
        }
        planned
    }

    pub(super) async fn mend_webhook(&self, list: &str, todo: Todo) -> Result<String, Trouble> {
        match todo {
            Todo::Create { wrong } => {
                let url = self.url().unwrap_or_default();
                let id = self.api.create_webhook(list, &url).await.map_err(explained)?;
                if let Err(why) = self.test(list, &id).await {
                    return Err(self.take_back(list, &id, &why).await);
                }
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
                // Left on: it loses nothing, and delivers once the gateway takes it.
                self.test(list, &id).await.map_err(|why| untaken(&format!("activated, but its test failed: {why}")))?;
                Ok("activated and tested".to_owned())
            }
            Todo::Delete { kept, extra } => {
                let refused = |why| untaken(&format!("not deleted, as the one that is to stay failed its test: {why}"));
                self.test(list, &kept).await.map_err(refused)?;
                self.api.delete_webhook(list, &extra).await.map_err(explained)?;
                Ok("deleted, after the other one was tested".to_owned())
            }
        }
    }

    /// Deletes a new one whose test failed: the next run would take it for one that works.
    async fn take_back(&self, list: &str, id: &str, why: &str) -> Trouble {
        match self.api.delete_webhook(list, id).await {
            Ok(()) => untaken(&format!("its test failed, so it was deleted again: {why}")),
            Err(fault) => {
                let left = explained(fault).what;
                untaken(&format!("its test failed, and the webhook {id} could not be deleted again ({left}): {why}"))
            }
        }
    }

    /// Campaign Monitor calls the gateway with made-up people, which go all the way to Gigya. Else why that didn't work.
    async fn test(&self, list: &str, id: &str) -> Result<(), String> {
        let what = match self.api.test_webhook(list, id).await {
            Ok(Tested::Delivered) => return Ok(()),
            Ok(Tested::NotDelivered(Some(status))) => format!("the gateway answered {status} (code 610)"),
            Ok(Tested::NotDelivered(None)) => "Campaign Monitor got no answer (code 610)".to_owned(),
            Err(fault) => explained(fault).what,
        };
        Err(what)
    }
}

/// The gateway didn't take a webhook's test.
fn untaken(what: &str) -> Trouble {
    let fix = "see that the gateway runs with this configuration (after a change of it, all replicas reloaded), that \
               server.public_url leads to it from outside, and what its log says; then run this again";
    Trouble::new(what, fix)
}

fn is_active(webhook: &Webhook) -> bool {
    webhook.status.eq_ignore_ascii_case("active")
}

/// Whether a URL is of those that begin so, with or without a token.
fn begins_with(url: &str, prefix: &str) -> bool {
    url.starts_with(prefix) || url == prefix.trim_end_matches('/')
}

/// What a webhook is told of otherwise than it should be.
fn faults_but_url(webhook: &Webhook) -> Vec<String> {
    let mut faults = Vec::new();
    if !EVENTS.iter().all(|event| webhook.events.iter().any(|held| held.eq_ignore_ascii_case(event))) {
        faults.push(format!("is told of {} only", webhook.events.join(", ")));
    }
    if !webhook.payload_format.eq_ignore_ascii_case(FORMAT) {
        faults.push(format!("comes as {}", webhook.payload_format));
    }
    faults
}
