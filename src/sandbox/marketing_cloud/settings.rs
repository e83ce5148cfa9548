//! What kind of account it is.

use crate::sandbox::{GivingUp, Temper};
use std::time::Duration;

/// What kind of account it is.
#[derive(Clone, Debug)]
pub struct MarketingCloudSettings {
    /// The business unit's number (MID).
    pub account_id: String,
    /// The installed package's client id.
    pub client_id: String,
    /// The installed package's client secret.
    pub client_secret: String,
    /// What events are signed with: base64 of 32 bytes, as it is shown when a callback is created.
    pub signature_key: String,
    /// How that becomes the HMAC's key. Public receivers disagree, and the vendor's page can be read both ways.
    pub key_reading: KeyReading,
    /// The id of the list of everybody. Its statuses are the subscribers' own.
    pub all_subscribers_list: String,
    /// Ids of publication lists.
    pub lists: Vec<String>,
    /// The data extensions.
    pub data_extensions: Vec<DataExtensionSettings>,
    /// Profile attributes that the account knows.
    pub attributes: Vec<String>,
    /// How long a token is good, by the simulators' clock.
    pub token_lifetime: Duration,
    /// How events are redelivered. Which of the two rules is live isn't confirmed.
    pub redelivery: Redelivery,
    /// Whether events of unsubscribing tell the subscriber's key. The vendor's sample doesn't; a public receiver
    /// reads it.
    pub with_subscriber_key: bool,
    /// Whether unsubscribing by the API fires an event. Not documented, so probably not.
    pub api_unsubscribes_fire: bool,
    /// How long a contact deletion is queued before it suppresses, by the simulators' clock.
    pub contact_delete_takes: Duration,
    /// How long it then suppresses before everything is gone (2 or 14 days, by the account's age).
    pub suppression: Duration,
    /// How long rows that are written asynchronously wait, by the simulators' clock.
    pub async_rows_take: Duration,
    /// As many rows as a page of a data extension has, however many are asked for. 2,500 is the vendor's word.
    pub rows_a_page: usize,
    /// What the package may do, as tokens say. (Only calls about callbacks and subscriptions are held to it.)
    pub scopes: Vec<String>,
    /// Whether a list's subscribers have `CreatedDate` and `ModifiedDate`. Where not, asking for them is an error.
    pub list_dates: bool,
}

/// How a signature key becomes the HMAC's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyReading {
    /// Its text, as it is.
    #[default]
    Text,
    /// The bytes that it is the base64 of.
    Base64,
}

/// How events are redelivered (vendor page "ENS retries and suspensions", two versions).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redelivery {
    /// The newer rule: three attempts, then again and again for 7 days.
    #[default]
    DeferForDays,
    /// The older rule: three retries, then the events are lost; two failures in a row suspend the callback.
    DropAndSuspend,
}

impl Redelivery {
    /// The rule as a courier keeps it. Waits of minutes are shortened to seconds, as nobody watches a sandbox that
    /// long; change them, but start from this.
    #[must_use]
    pub fn temper(self) -> Temper {
        let giving_up = match self {
            Self::DeferForDays => GivingUp::AfterDays {
                attempts: 3,
                deferral: Duration::from_secs(2), // up to 10 min
                in_all: Duration::from_hours(7 * 24),
            },
            Self::DropAndSuspend => GivingUp::AfterRetries {
                retries: 3,
                within: Duration::from_mins(5),
                suspension: Duration::from_secs(2),          // 10 min
                longest_suspension: Duration::from_secs(12), // 1 h
            },
        };
        Temper { batch: 1000, patience: Duration::from_secs(3), highest_success: 204, giving_up, ..Temper::default() }
    }
}

/// What kind of data extension it is.
#[derive(Clone, Debug)]
pub struct DataExtensionSettings {
    /// Its external key.
    pub key: String,
    /// The column that is its primary key.
    pub primary_key: String,
    /// All columns, that one too. One named `EmailAddress` is of the type of that name.
    pub columns: Vec<String>,
    /// Whether mail can be sent to it. Contact deletion takes rows out of such ones only.
    pub sendable: bool,
}

impl DataExtensionSettings {
    /// A sendable one with the columns that a profile needs.
    #[must_use]
    pub fn ordinary(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            primary_key: "SubscriberKey".to_owned(),
            columns: ["SubscriberKey", "EmailAddress", "FirstName", "Status"].map(ToOwned::to_owned).to_vec(),
            sendable: true,
        }
    }
}

/// What a package may do that has all that a gateway needs.
const SCOPES: &[&str] = &[
    "data_extensions_read",
    "data_extensions_write",
    "list_and_subscribers_read",
    "list_and_subscribers_write",
    "event_notification_callback_create",
    "event_notification_callback_read",
    "event_notification_callback_update",
    "event_notification_callback_delete",
    "event_notification_subscription_create",
    "event_notification_subscription_read",
    "event_notification_subscription_update",
    "event_notification_subscription_delete",
];

impl Default for MarketingCloudSettings {
    fn default() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            account_id: "100001".to_owned(),
            client_id: "simulated-marketing-cloud-client".to_owned(),
            client_secret: "simulated-marketing-cloud-secret".to_owned(),
            signature_key: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned(),
            key_reading: KeyReading::Text,
            all_subscribers_list: "1".to_owned(),
            lists: owned(&["69238", "70001"]),
            data_extensions: vec![DataExtensionSettings::ordinary("GIGYA_PROFILES")],
            attributes: owned(&["First Name", "Last Name", "Gigya UID"]),
            token_lifetime: Duration::from_secs(1079),
            redelivery: Redelivery::DeferForDays,
            with_subscriber_key: false,
            api_unsubscribes_fire: false,
            contact_delete_takes: Duration::from_mins(10),
            suppression: Duration::from_hours(48),
            async_rows_take: Duration::ZERO,
            rows_a_page: 2_500,
            scopes: owned(SCOPES),
            list_dates: true,
        }
    }
}
