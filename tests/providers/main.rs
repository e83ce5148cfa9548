//! What every provider must do, whichever it is and however it is made: the same suite for all. A new one is a line in
//! [`everyone`].
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../contract/mod.rs"]
mod contract;
mod of_described;
mod of_salesforce;
mod shipped;
mod suite;
mod table;

use gigya_esp_gateway::sandbox::braze::BrazeSettings;
use gigya_esp_gateway::sandbox::brevo::BrevoSettings;
use gigya_esp_gateway::sandbox::described::DescribedSettings;
use gigya_esp_gateway::sandbox::klaviyo::KlaviyoSettings;
use gigya_esp_gateway::sandbox::mailchimp::MailchimpSettings;
use gigya_esp_gateway::sandbox::salesforce::{Callbacks, SalesforceSettings};
use gigya_esp_gateway::sandbox::sendgrid::SendgridSettings;
use gigya_esp_gateway::sandbox::shipped::{Shipped, System};
use gigya_esp_gateway::sandbox::{Esps, Setup};
use suite::Provider;

/// The suite, once for each provider: its name, how it is set up, and what is particular of it.
macro_rules! everyone {
    ($($name:ident: $provider:expr;)+) => {$(
        mod $name {
            use super::*;

            fn provider() -> Provider {
                $provider
            }

            suite::tests!();
        }
    )+};
}

everyone! {
    campaign_monitor: Provider::new(Setup::default());
    marketing_cloud_status_and_rows: marketing_cloud(&Setup::default().marketing_cloud_audience);
    marketing_cloud_all_subscribers: marketing_cloud("all-subscribers");
    marketing_cloud_publication_list: marketing_cloud("publication-list:69238");
    marketing_cloud_list_and_rows: marketing_cloud("publication-list:69238+data-extension:GIGYA_PROFILES");
    described: described(DescribedSettings::default());
    described_with_a_subscribe_that_lifts: described(DescribedSettings { subscribe_lifts: true, ..DescribedSettings::default() });
    described_with_addresses_that_stay: described(DescribedSettings { never_moves: true, ..DescribedSettings::default() });
    described_with_a_queue: described(DescribedSettings { queue: 1, ..DescribedSettings::default() });
    described_without_times: Provider {
        an_opt_out_is_final: true,
        ..described(DescribedSettings { timeless: true, ..DescribedSettings::default() })
    };
    salesforce_contacts: salesforce("Contact", SalesforceSettings::default());
    salesforce_contacts_told_by_apex: salesforce("Contact", SalesforceSettings {
        callbacks: Callbacks::Signed,
        ..SalesforceSettings::default()
    });
    salesforce_leads_with_a_checkbox_of_their_own: salesforce("Lead.Newsletter_Opt_Out__c", SalesforceSettings::default());
    salesforce_person_accounts: salesforce("Account", SalesforceSettings::default());
    salesforce_without_times: Provider {
        an_opt_out_is_final: true,
        tells_opt_ins: false,
        ..salesforce("Contact", of_salesforce::without_times())
    };
    brevo: described_by_us(System::Brevo(BrevoSettings::default()));
    klaviyo: Provider { tells_opt_ins: false, ..described_by_us(System::Klaviyo(KlaviyoSettings::default())) };
    mailchimp: Provider {
        keeps_out_who_left: true,
        ..described_by_us(System::Mailchimp(MailchimpSettings::default()))
    };
    mailchimp_without_signatures: Provider {
        keeps_out_who_left: true,
        ..described_by_us(System::Mailchimp(MailchimpSettings { signing_secret: None, ..MailchimpSettings::default() }))
    };
    sendgrid: Provider {
        an_opt_out_is_final: true,
        tells_opt_ins: false,
        ..described_by_us(System::Sendgrid(SendgridSettings::default()))
    };
    braze: Provider {
        an_opt_out_is_final: true,
        keeps_the_forms_record: true,
        ..described_by_us(System::Braze(BrazeSettings::default()))
    };
}

fn described_by_us(system: System) -> Provider {
    Provider::new(Setup::with_further(Shipped::new(system)))
}

fn marketing_cloud(audience: &str) -> Provider {
    let fields = if audience.contains("data-extension") { "FirstName" } else { "First Name" };
    let setup = Setup {
        marketing_cloud_audience: audience.to_owned(),
        marketing_cloud_route: format!("fields = {{ \"{fields}\" = \"profile.firstName\" }}"),
        ..Setup::with_esps(Esps::MarketingCloud)
    };
    Provider { tells_opt_ins: false, ..Provider::new(setup) }
}

fn described(settings: DescribedSettings) -> Provider {
    Provider::new(Setup::with_further(settings))
}

fn salesforce(audience: &str, settings: SalesforceSettings) -> Provider {
    Provider::new(Setup::with_further(SalesforceSettings { audience: audience.to_owned(), ..settings }))
}
