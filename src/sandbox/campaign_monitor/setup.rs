//! The calls about lists' custom fields and the client (vendor pages "Lists" and "Clients" of API v3.3).

use super::CampaignMonitorSim;
use super::rest::Answer;
use super::world::folded;
use axum::http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

const TYPES: [&str; 7] = ["Text", "Number", "MultiSelectOne", "MultiSelectMany", "Date", "Country", "USState"];

impl CampaignMonitorSim {
    pub(super) fn answer_fields(&self, method: &Method, list: &str, body: &Value) -> Answer {
        let mut world = self.world();
        let list = world.list(list)?;
        if method == Method::GET {
            let shown = |name: &Arc<str>| {
                json!({
                    "FieldName": &**name, "Key": format!("[{}]", folded(name)), "DataType": "Text", "FieldOptions": [],
                    "VisibleInPreferenceCenter": false,
                })
            };
            return Ok((200, list.fields.iter().map(shown).collect()));
        }
        let name = body["FieldName"].as_str().map(str::trim).filter(|name| !name.is_empty());
        let name = name.ok_or((400, 250, "A custom field's name is required"))?;
        if !TYPES.iter().any(|kind| body["DataType"] == *kind) {
            return Err((400, 252, "Invalid custom field data type"));
        }
        if list.fields.iter().any(|held| folded(held) == folded(name)) {
            return Err((400, 255, "A custom field with this name already exists"));
        }
        list.fields.push(name.into());
        Ok((201, format!("[{}]", folded(name)).into()))
    }

    /// Deletes a list's custom field, as a person does.
    pub fn delete_field(&self, list: &str, name: &str) {
        if let Ok(list) = self.world().list(list) {
            list.fields.retain(|held| folded(held) != folded(name));
        }
    }

    pub(super) fn client_details(&self, client: &str) -> Answer {
        let settings = self.settings();
        if client != settings.client_id {
            return Err((401, 102, "Invalid ClientID"));
        }
        let details = json!({
            "ClientID": client, "CompanyName": "Simulated", "Country": "Germany", "TimeZone": settings.time_zone_label,
        });
        Ok((200, json!({ "ApiKey": null, "BasicDetails": details })))
    }
}
