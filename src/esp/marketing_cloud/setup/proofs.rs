//! What is proved at Marketing Cloud: the token and its scopes, and that lists, data extensions and their columns are there.
//!
//! Source: vendor pages "REST permissions", "List" and `DataExtensionField` of the SOAP API; filtering columns by the data
//! extension's key, from public SDKs.

use super::{MarketingCloudSetUp, explained};
use crate::config::{MarketingCloudAudience, StatusPlace};
use crate::esp::marketing_cloud::soap::{Filter, Row};
use crate::esp::setup::{Finding, State, look};
use crate::upstream::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// What every connection needs.
const SCOPES: &[&str] = &[
    "list_and_subscribers_read",
    "list_and_subscribers_write",
    "event_notification_callback_create",
    "event_notification_callback_read",
    "event_notification_callback_update",
    "event_notification_subscription_create",
    "event_notification_subscription_read",
    "event_notification_subscription_update",
];
/// What one needs whose routes name a data extension.
const ROW_SCOPES: &[&str] = &["data_extensions_read", "data_extensions_write"];
/// What `register` needs to take back what failed.
const SPARE_SCOPES: &[&str] = &["event_notification_callback_delete", "event_notification_subscription_delete"];

impl MarketingCloudSetUp {
    pub(super) async fn proofs(&self) -> Vec<Finding> {
        const TOKEN: &str = "token";
        let scopes = match self.client.scopes(look()).await {
            Ok(scopes) => scopes,
            Err(fault) => return vec![self.scribe.trouble(TOKEN, fault, &explained(fault))],
        };
        let mut proofs = vec![self.scribe.ok(TOKEN, "is given")];
        proofs.push(self.of_scopes(scopes));
        proofs.extend(self.prove_lists().await);
        for (extension, columns) in self.extensions() {
            proofs.extend(self.prove_extension(&extension, &columns).await);
        }
        proofs.extend(self.attributes());
        proofs
    }

    fn of_scopes(&self, scopes: Option<Vec<String>>) -> Finding {
        const SUBJECT: &str = "permissions";
        let Some(scopes) = scopes else {
            return self.scribe.remark(SUBJECT, "the token doesn't say which it has");
        };
        let mut needed = SCOPES.to_vec();
        if self.extensions().next().is_some() {
            needed.extend(ROW_SCOPES);
        }
        let needed = missing(&needed, &scopes);
        if !needed.is_empty() {
            let detail = format!("the package lacks {}", needed.join(", "));
            let fix = "add them to the package's API integration; they count after up to five minutes";
            return self.scribe.yours(SUBJECT, State::Missing, &detail, fix);
        }
        match missing(SPARE_SCOPES, &scopes).as_slice() {
            [] => self.scribe.ok(SUBJECT, "the package has what it needs"),
            spare => {
                let detail = format!("without {}, register can't take back what failed", spare.join(", "));
                self.scribe.remark(SUBJECT, &detail)
            }
        }
    }

    async fn prove_lists(&self) -> Vec<Finding> {
        let audiences = self.settings.audiences.values();
        let named = audiences.filter_map(|audience| match &audience.status {
            Some(StatusPlace::PublicationList(id)) => Some(id.as_str()),
            Some(StatusPlace::AllSubscribers) | None => None,
        });
        let everything = self.settings.all_subscribers_list.as_deref();
        let ids: BTreeSet<&str> = named.chain(everything).collect();
        let mut proofs = Vec::new();
        for id in ids {
            let is_everything = Some(id) == everything;
            let subject = format!("{} {id}", if is_everything { "all_subscribers_list" } else { "publication list" });
            let filter = Filter::In("ID", vec![id]);
            let found = self.client.retrieve("list.retrieve", "List", &["ID", "ListName"], &filter, look()).await;
            proofs.push(match found.map(|rows| rows.unwrap_or_default().into_iter().next()) {
                Ok(Some(list)) => self.scribe.ok(&subject, &list.list_name.unwrap_or_default()),
                Ok(None) => {
                    let fix = "check the id, and that it is the business unit's that account_id names";
                    self.scribe.yours(&subject, State::Missing, "there is no list with that id", fix)
                }
                Err(fault) => self.scribe.trouble(&subject, fault, &explained(fault)),
            });
        }
        proofs
    }

    /// The data extensions that routes name, and the columns that each needs.
    fn extensions(&self) -> impl Iterator<Item = (String, BTreeSet<String>)> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (audience, fields) in &self.routes {
            let meaning = MarketingCloudAudience::parse(audience);
            let Some(extension) = meaning.and_then(|meaning| meaning.data_extension) else { continue };
            let columns = all.entry(extension).or_default();
            columns.extend([self.settings.key_column.clone(), self.settings.email_column.clone()]);
            columns.extend(self.settings.status_column.clone());
            columns.extend(fields.iter().cloned());
        }
        all.into_iter()
    }

    async fn prove_extension(&self, extension: &str, needed: &BTreeSet<String>) -> Vec<Finding> {
        const PROPERTIES: [&str; 2] = ["Name", "IsPrimaryKey"];
        let subject = format!("data extension {extension}");
        let filter = Filter::In("DataExtension.CustomerKey", vec![extension]);
        let asked = self.client.retrieve("column.retrieve", "DataExtensionField", &PROPERTIES, &filter, look()).await;
        let columns = match asked.and_then(|found| found.ok_or(Fault::Unavailable { cause: "columns are not told" })) {
            Ok(columns) if columns.is_empty() => {
                let fix = "check the external key, and that it is the business unit's that account_id names";
                return vec![self.scribe.yours(&subject, State::Missing, "there is none with that key", fix)];
            }
            Ok(columns) => columns,
            Err(fault) => return vec![self.scribe.trouble(&subject, fault, &explained(fault))],
        };
        let mut proofs = vec![self.of_primary_key(&subject, &columns)];
        for name in needed {
            let column = format!("{subject}: column {name}");
            let is_it = |row: &Row| row.name.as_deref().is_some_and(|held| held.eq_ignore_ascii_case(name));
            proofs.push(if columns.iter().any(is_it) {
                self.scribe.ok(&column, "")
            } else {
                let fix = "create it over there, for text, or correct the route's fields";
                self.scribe.yours(&column, State::Missing, "the data extension has none of that name", fix)
            });
        }
        proofs
    }

    fn of_primary_key(&self, subject: &str, columns: &[Row]) -> Finding {
        let is_key = |row: &&Row| row.is_primary_key.as_deref().is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        let keys: Vec<_> = columns.iter().filter(is_key).filter_map(|row| row.name.as_deref()).collect();
        let wanted = &self.settings.key_column;
        match keys.as_slice() {
            [key] if key.eq_ignore_ascii_case(wanted) => self.scribe.ok(subject, &format!("its primary key is {key}")),
            keys => {
                let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(" and ") };
                let detail = format!("its primary key is {keys}, not {wanted} alone");
                let fix = "make that column its primary key over there, or name the right one in key_column";
                self.scribe.yours(subject, State::Wrong, &detail, fix)
            }
        }
    }

    /// Profile attributes can't be looked up one by one: that they are needed is all that can be said.
    fn attributes(&self) -> Option<Finding> {
        let lacks_extension = |audience: &str| {
            MarketingCloudAudience::parse(audience).is_some_and(|meaning| meaning.data_extension.is_none())
        };
        let without = self.routes.iter().filter(|(audience, _)| lacks_extension(audience));
        let mut names: BTreeSet<&str> = without.flat_map(|(_, fields)| fields.iter().map(String::as_str)).collect();
        names.extend(self.settings.uid_attribute.as_deref());
        (!names.is_empty()).then(|| {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            self.scribe
                .remark("profile attributes", &format!("see that these are there, which can't be asked: {names}"))
        })
    }
}

fn missing<'a>(wanted: &[&'a str], scopes: &[String]) -> Vec<&'a str> {
    wanted.iter().copied().filter(|wanted| !scopes.iter().any(|scope| scope == wanted)).collect()
}
