//! An object of the simulated Salesforce.

use super::{SimulatedEsp, Standing, Subscriber};
use crate::sandbox::salesforce::{Row, SalesforceSim};
use crate::sandbox::{Courier, Faults};
use serde_json::Value;

/// One object and its checkbox.
pub struct SalesforceObject(SalesforceSim);

impl SalesforceObject {
    pub fn new(sim: SalesforceSim) -> Self {
        Self(sim)
    }

    fn view(&self, row: &Row) -> Option<Subscriber> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let is_out = row.get(&self.0.settings().opt_out_field()) != Some(&Value::Bool(false));
        Some(Subscriber {
            email: text(self.0.settings().address_field())?,
            state: if is_out { "Email Opt Out" } else { "mailed" },
            standing: if is_out { Standing::OptedOut } else { Standing::Mailed },
            since: None,
            first_name: text("FirstName"),
            uid: text("Gigya_UID__c"),
        })
    }
}

impl SimulatedEsp for SalesforceObject {
    fn name(&self) -> &'static str {
        "Salesforce"
    }

    fn slug(&self) -> &'static str {
        "salesforce"
    }

    fn faults(&self) -> &Faults {
        self.0.faults()
    }

    fn courier(&self) -> &Courier {
        self.0.courier()
    }

    /// Those to whom something could be sent.
    fn people(&self) -> Vec<Subscriber> {
        self.0.records().iter().filter_map(|row| self.view(row)).collect()
    }

    fn at(&self, email: &str) -> Vec<Subscriber> {
        self.0.at(email).iter().filter_map(|row| self.view(row)).collect()
    }

    fn unsubscribe_link(&self, email: &str) -> bool {
        self.0.set_opted_out(email, true) > 0
    }

    /// A bounce is no opt-out there.
    fn bounce(&self, _: &str) -> bool {
        false
    }

    fn delete(&self, email: &str) -> bool {
        let ids: Vec<_> = self.0.at(email).iter().filter_map(|row| row["Id"].as_str().map(ToOwned::to_owned)).collect();
        ids.iter().filter(|id| self.0.delete(id)).count() > 0
    }

    /// A form of the company's that asks for consent and keeps when it was given, where the organization has a field for that.
    fn form_subscribe(&self, email: &str) -> bool {
        if self.0.at(email).is_empty() {
            self.0.fill_in_form(email);
            return true;
        }
        self.0.set_opted_out(email, false) > 0
    }
}
