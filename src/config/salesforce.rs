//! `[salesforce.NAME]` as everybody else sees it: one Salesforce organization (CRM), and what its audiences mean.

use super::http::Verification;
use super::model::Common;
use crate::domain::{Audience, ConnectionName};
use jiff::tz::TimeZone;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use url::Url;

/// `[salesforce.NAME]`: one Salesforce organization.
#[derive(Clone, Debug)]
pub struct Salesforce {
    /// The name in the callback's path.
    pub name: ConnectionName,
    /// Receiving and calling.
    pub common: Common,
    /// The organization's own host, where tokens are had and calls go: `https://DOMAIN.my.salesforce.com`.
    pub base_url: Url,
    /// The version of the REST API that is called (`v60.0`).
    pub api_version: String,
    /// The app's consumer key.
    pub client_id: SecretString,
    /// How tokens are had.
    pub auth: SalesforceAuth,
    /// For how long a token is taken to last; answers don't say (50 min).
    pub token_lifetime: Duration,
    /// The organization's id, which an Outbound Message must name; its first 15 characters count.
    pub organization_id: Option<String>,
    /// Tokens that an Outbound Message's URL may end in. Empty if none is expected.
    pub outbound_tokens: Vec<SecretString>,
    /// Secrets of JSON callbacks. Empty if none is expected.
    pub callback_secrets: Vec<SecretString>,
    /// How JSON callbacks are verified.
    pub callback_auth: Verification,
    /// The external-id field that holds the Gigya UID (`Gigya_UID__c`).
    pub uid_field: String,
    /// The field that says when the person opted in or out, if there is one.
    pub consent_time_field: Option<String>,
    /// Whether the gateway writes that field, so that whoever ticks a box by hand may leave it as it was; else something in
    /// Salesforce keeps it, whoever ticks, and it alone counts (true).
    pub write_consent_time: bool,
    /// The zone of days: of the consent-time field, if it is a date, and of the last change (UTC).
    pub time_zone: TimeZone,
    /// What is written to a required name that the account doesn't have (`-`).
    pub placeholder: String,
    /// Whether records are saved that a duplicate rule only warns of (false).
    pub save_duplicates: bool,
    /// What the routes' audiences mean.
    pub audiences: BTreeMap<Audience, SalesforceAudience>,
}

impl Salesforce {
    /// Whether another checkbox of the object has the same time of consent beside it, which then may be that one's.
    #[must_use]
    pub fn shares_time(&self, audience: &SalesforceAudience) -> bool {
        self.audiences.values().any(|other| other.is_another_box(audience))
    }
}

/// How tokens are had.
#[derive(Clone, Debug)]
pub enum SalesforceAuth {
    /// `OAuth2` client credentials: the app's consumer secret.
    ClientCredentials(SecretString),
    /// A JWT, signed with the private key whose certificate the app has.
    JwtBearer {
        /// The user whom the gateway acts as.
        username: String,
        /// PEM, RSA.
        private_key: SecretString,
        /// Whom the token is for (the organization's own host).
        login_url: String,
    },
}

/// Which kind of record an audience is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SalesforceObject {
    /// Contacts.
    Contact,
    /// Leads that aren't converted yet.
    Lead,
    /// Person Accounts.
    PersonAccount,
}

impl SalesforceObject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Contact, Self::Lead, Self::PersonAccount];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contact => "Contact",
            Self::Lead => "Lead",
            Self::PersonAccount => "Account",
        }
    }

    /// The one that a callback names: without regard to case, and Person Accounts by either of their names.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let is_it = |known: &Self| known.name().eq_ignore_ascii_case(text);
        let person_account = text.eq_ignore_ascii_case("PersonAccount").then_some(Self::PersonAccount);
        Self::ALL.into_iter().find(is_it).or(person_account)
    }

    /// The field that holds the address.
    #[must_use]
    pub const fn address_field(self) -> &'static str {
        match self {
            Self::Contact | Self::Lead => "Email",
            Self::PersonAccount => "PersonEmail",
        }
    }

    /// The standard field "Email Opt Out".
    #[must_use]
    pub const fn standard_opt_out(self) -> &'static str {
        match self {
            Self::Contact | Self::Lead => "HasOptedOutOfEmail",
            Self::PersonAccount => "PersonHasOptedOutOfEmail",
        }
    }

    /// Fields without which none can be made.
    #[must_use]
    pub const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Contact | Self::PersonAccount => &["LastName"],
            Self::Lead => &["LastName", "Company"],
        }
    }

    /// Which of the object's records belong, in SOQL.
    #[must_use]
    pub const fn condition(self) -> Option<&'static str> {
        match self {
            Self::Contact => None,
            Self::Lead => Some("IsConverted = false"),
            Self::PersonAccount => Some("IsPersonAccount = true"),
        }
    }
}

/// What an audience is: an object, and the checkbox that says who is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalesforceAudience {
    /// The object.
    pub object: SalesforceObject,
    /// The checkbox.
    pub opt_out_field: String,
    /// The fields that its routes map.
    pub fields: BTreeSet<String>,
}

impl SalesforceAudience {
    /// Whether this is another checkbox of the same object.
    #[must_use]
    pub fn is_another_box(&self, other: &Self) -> bool {
        self.object == other.object && !self.opt_out_field.eq_ignore_ascii_case(&other.opt_out_field)
    }

    /// Reads `Contact`, `Lead` or `Account`, and after a dot the checkbox if it isn't the standard one. `None` if it is none
    /// of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (object, field) = text.split_once('.').map_or((text, None), |(object, field)| (object, Some(field)));
        let object = SalesforceObject::ALL.into_iter().find(|known| known.name() == object)?;
        let opt_out_field = field.unwrap_or(object.standard_opt_out());
        is_field(opt_out_field).then(|| Self {
            object,
            opt_out_field: opt_out_field.to_owned(),
            fields: BTreeSet::new(),
        })
    }
}

/// Whether a text can be the API name of a field.
#[must_use]
pub fn is_field(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 80
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
