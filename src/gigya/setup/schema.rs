//! Whether the routes' subscriptions and fields are in the site's schema.
//!
//! Source: SAP, "accounts.getSchema"; the shape of its answer as SAP's toolkit shows it: `fields` by dotted names, in which a
//! subscription has an `email` member.

use super::{GigyaSetUp, explained};
use crate::config::{FieldSource, TemplatePart};
use crate::esp::setup::{Finding, State, look};
use crate::upstream::{Attempts, Fault};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

impl GigyaSetUp {
    pub(super) async fn prove_schema(&self, proofs: &mut Vec<Finding>) {
        const SUBJECT: &str = "schema";
        let form = vec![("include", "profileSchema,dataSchema,subscriptionsSchema".into())];
        let asked = self.client.call("accounts.getSchema", Attempts::Few, form, None, look()).await;
        let answer = asked.and_then(|body| body.ok_or(Fault::Configuration { code: 403_005 }));
        let schema: Value = match answer.and_then(|body| crate::gigya::client::parse(&body)) {
            Ok(schema) => schema,
            // Not part of every package, and no webhook needs it.
            Err(fault) => {
                let trouble = explained(fault);
                proofs.push(self.scribe.yours(SUBJECT, State::Unknown, &trouble.what, &trouble.fix));
                return;
            }
        };
        let subscriptions: BTreeSet<_> = self.routes.iter().map(|route| route.subscription.as_str()).collect();
        proofs.extend(subscriptions.into_iter().map(|id| self.of_subscription(&schema, id)));
        proofs.extend(self.mapped().into_iter().map(|path| self.of_field(&schema, &path)));
    }

    fn of_subscription(&self, schema: &Value, id: &str) -> Finding {
        let subject = format!("subscription {id}");
        let Some(fields) = schema.pointer("/subscriptionsSchema/fields") else {
            let fix = "see in the console that the site has it: Gigya's answer tells of no subscriptions";
            return self.scribe.yours(&subject, State::Unknown, "the schema has no subscriptions", fix);
        };
        match subscription(fields, id) {
            Some(true) => self.scribe.ok(&subject, "with double opt-in"),
            Some(false) => self.scribe.ok(&subject, ""),
            None => {
                let detail = match same_but_for_case(fields, id) {
                    Some(other) => format!("the site has none of that id, but \"{other}\""),
                    None => "the site has none of that id".to_owned(),
                };
                let fix = "create it in the console's schema, or correct the route's subscription";
                self.scribe.yours(&subject, State::Missing, &detail, fix)
            }
        }
    }

    /// Places in `profile` and `data` that routes read, dotted.
    fn mapped(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for source in self.routes.iter().flat_map(|route| route.fields.values()) {
            match source {
                FieldSource::Path(path) => {
                    paths.insert(path.join("."));
                }
                FieldSource::Template(parts) => {
                    paths.extend(parts.iter().filter_map(|part| match part {
                        TemplatePart::Path(path) => Some(path.join(".")),
                        TemplatePart::Text(_) => None,
                    }));
                }
                FieldSource::Literal(_) => {}
            }
        }
        paths.retain(|path| path.starts_with("profile.") || path.starts_with("data."));
        paths
    }

    fn of_field(&self, schema: &Value, path: &str) -> Finding {
        let subject = format!("field {path}");
        let (room, name) = path.split_once('.').unwrap_or((path, ""));
        let schema = &schema[format!("{room}Schema")];
        let Some(fields) = schema["fields"].as_object() else {
            let detail = format!("the answer has no {room}Schema");
            return self.scribe.yours(&subject, State::Unknown, &detail, "see in the console that the site has it");
        };
        // A whole object may be meant, or something within one.
        let is_it = |known: &String| {
            let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
            known == name || within(known, name) || within(name, known)
        };
        if fields.keys().any(is_it) {
            return self.scribe.ok(&subject, "");
        }
        if schema["dynamicSchema"] == Value::Bool(true) {
            return self.scribe.remark(&subject, "isn't in the schema yet, which takes any field that is written");
        }
        let fix = "create it in the console's schema, or correct the route's fields";
        self.scribe.yours(&subject, State::Missing, "the schema has no such field", fix)
    }
}

/// Whether a subscription of that id has double opt-in; none if there is no such subscription. Ids are one dotted key, or
/// objects in each other.
fn subscription(fields: &Value, id: &str) -> Option<bool> {
    let whole = fields.get(id).or_else(|| id.split('.').try_fold(fields, |place, key| place.get(key)));
    let email =
        whole.and_then(|subscription| subscription.get("email")).or_else(|| fields.get(format!("{id}.email")))?;
    Some(email.get("doubleOptIn").and_then(Value::as_bool).unwrap_or(false))
}

fn same_but_for_case(fields: &Value, id: &str) -> Option<String> {
    let by_folded: BTreeMap<_, _> =
        fields.as_object().into_iter().flatten().map(|(known, _)| (known.to_lowercase(), known)).collect();
    by_folded.get(&id.to_lowercase()).map(|&known| known.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn subscriptions_are_found_however_their_ids_are_spelled_out() {
        let email = json!({ "type": "subscription", "doubleOptIn": true });
        for fields in [
            json!({ "pets.canine": { "email": email } }),
            json!({ "pets": { "canine": { "email": email } } }),
            json!({ "pets.canine.email": email }),
        ] {
            assert_eq!(subscription(&fields, "pets.canine"), Some(true), "{fields}");
            assert_eq!(subscription(&fields, "pets"), None, "{fields}");
        }
        assert_eq!(subscription(&json!({ "news": { "email": {} } }), "news"), Some(false));
        assert_eq!(same_but_for_case(&json!({ "News": {} }), "news").as_deref(), Some("News"));
    }
}
