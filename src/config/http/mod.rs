//! `[http.NAME]`: an ESP that is described by data. Everything here was checked: templates are parsed, pointers are
//! pointers, and nothing in it is executed.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `template` | texts with places in braces that are filled in for each person |
//! | `callback` | what its callbacks say, and how they are verified |

mod callback;
mod template;

pub use callback::{
    Callback, Happening, HttpBody, KindRule, Signature, SignatureText, Timestamp, Verification, p256_point,
};
pub use template::{Allowed, Filter, Hole, Json, Piece, Signed, Source, Template, shown};

use super::model::Common;
use crate::domain::{Audience, ConnectionName, OptOutReason};
use http::{HeaderName, Method};
use jiff::tz::TimeZone;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use url::Url;

/// One connection to an ESP that is described by data.
#[derive(Clone, Debug)]
pub struct Http {
    /// The name in the callback's path.
    pub name: ConnectionName,
    /// Receiving and calling.
    pub common: Common,
    /// What people call the system.
    pub title: String,
    /// What one should know of it, in a line.
    pub about: String,
    /// Which shipped description it has; none if its own.
    pub provider: Option<String>,
    /// Where the API is.
    pub base_url: Url,
    /// Headers of every call.
    pub headers: Vec<(HeaderName, Template)>,
    /// User and password of HTTP basic authentication.
    pub basic_auth: Option<(Template, Template)>,
    /// Secrets that headers may have, by name.
    pub secrets: BTreeMap<String, SecretString>,
    /// What verifies callbacks: tokens, keys. Empty only if nothing is to come in.
    pub callback_secrets: Vec<SecretString>,
    /// What it holds of somebody, and how that is read.
    pub reads: Vec<Read>,
    /// How an audience is read as a whole. Empty if it can't be.
    pub lists: Vec<Listing>,
    /// What `check --online` looks at besides, and what it is called.
    pub probes: Vec<(String, Call)>,
    /// How it is written to.
    pub operations: Operations,
    /// What holds of it.
    pub rules: HttpRules,
    /// What it calls back; none if nothing comes from it.
    pub callback: Option<Callback>,
    /// The audiences that routes name.
    pub audiences: BTreeSet<Audience>,
}

/// How somebody is written: each a few calls, in order.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Opts in somebody who isn't out.
    pub subscribe: Vec<Call>,
    /// Opts in over an opt-out; else `subscribe` does.
    pub resubscribe: Option<Vec<Call>>,
    /// Writes fields.
    pub update: Option<Vec<Call>>,
    /// Opts out.
    pub unsubscribe: Vec<Call>,
    /// Deletes the record.
    pub delete: Option<Vec<Call>>,
    /// Puts the address where nobody may mail it.
    pub suppress: Option<Vec<Call>>,
    /// Takes out a record for which another one of the same person stands in.
    pub discard: Option<Vec<Call>>,
}

/// What holds of an ESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRules {
    /// Whether an address is at most one record.
    pub one_record_an_address: bool,
    /// Whether `subscribe` opts in somebody who is out.
    pub subscribe_may_lift_opt_out: bool,
    /// Whether `update` may opt somebody in.
    pub update_may_opt_in: bool,
    /// Whether `update` can change an address.
    pub update_moves_address: bool,
    /// Whether writes are only queued when they are answered.
    pub queued: bool,
    /// Under which name the UID is among the fields.
    pub uid_field: Option<String>,
    /// What a field becomes that an account lacks.
    pub missing: Missing,
    /// Whether yes and no are JSON's, or text.
    pub flags_as_text: bool,
    /// Whether many values are one text.
    pub many_joined: bool,
    /// Fields that are the ESP's own, and not among those that a customer defines.
    pub own_fields: BTreeSet<String>,
    /// Fields that no route may map: what they say is who somebody is there, or whether they may be mailed.
    pub reserved_fields: BTreeSet<String>,
    /// What an audience's id looks like.
    pub audience: AudienceIs,
}

/// What an audience's id looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceIs {
    /// Anything.
    Any,
    /// A number.
    Digits,
    /// Hexadecimal digits.
    Hex,
}

/// What a field becomes that an account lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// An empty text.
    Empty,
    /// JSON's null.
    Null,
    /// It isn't written.
    Omit,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Below the base URL, with a slash first.
    pub path: Template,
    /// The query.
    pub query: Vec<(String, Template)>,
    /// Headers besides those of every call.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: CallBody,
    /// What answers mean where it isn't what they usually mean; the first that fits.
    pub answers: Vec<AnswerRule>,
    /// What of the answer the calls after it may use, by name.
    pub keep: Vec<(String, Keep)>,
}

impl Call {
    /// Whether any of its places, in path, query, headers and body, has what is asked for.
    pub fn names(&self, is_it: impl Fn(&Source) -> bool) -> bool {
        let mut templates: Vec<&Template> = vec![&self.path];
        templates.extend(self.query.iter().map(|(_, template)| template));
        templates.extend(self.headers.iter().map(|(_, template)| template));
        match &self.body {
            CallBody::None => {}
            CallBody::Json(json) => json.templates(&mut templates),
            CallBody::Form(fields) => templates.extend(fields.iter().map(|(_, template)| template)),
        }
        templates.into_iter().flat_map(Template::holes).any(|hole| is_it(&hole.source))
    }
}

/// A value of an answer, kept for the calls after it.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Where it is.
    pub pointer: Template,
    /// What is left out of it, if it is a list.
    pub without: Option<Template>,
    /// What the answer must say, else nothing is kept.
    pub when: Vec<Condition>,
}

/// A call's body.
#[derive(Clone, Debug)]
pub enum CallBody {
    /// None.
    None,
    /// JSON.
    Json(Json),
    /// A form: names and values. A name with `[*]` is repeated for each field.
    Form(Vec<(String, Template)>),
}

/// What an answer means.
#[derive(Clone, Debug)]
pub struct AnswerRule {
    /// The statuses that it is about; none for all.
    pub statuses: Vec<u16>,
    /// What the body must say; all of it.
    pub conditions: Vec<Condition>,
    /// What it means then.
    pub means: Meaning,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is done; of a read, the record is in it.
    Done,
    /// There is nobody to do it to, or it is so already; of a read, there is none.
    NothingToDo,
    /// The ESP keeps the person out.
    Held,
    /// The record isn't as it was read.
    Moved,
    /// The data are refused, and always will be.
    Rejected,
    /// A person must act.
    Configuration,
    /// Not now, and the system is well.
    Busy,
    /// The system is failing.
    Failing,
}

/// Something that a JSON document must say.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where (RFC 6901). Places in braces are escaped.
    pub pointer: Template,
    /// What.
    pub test: Test,
}

/// What must be found.
#[derive(Clone, Debug)]
pub enum Test {
    /// Anything, or with false nothing. JSON's null is nothing.
    Exists(bool),
    /// One of these texts; numbers and flags compare by how they are written.
    Equals(Vec<Template>),
    /// A list with this in it.
    Contains(Template),
    /// A list of objects, of which one has all these.
    Any(Vec<(String, Template)>),
}

/// One way in which somebody is read.
#[derive(Clone, Debug)]
pub struct Read {
    /// Whether it asks for a UID; else for an address.
    pub by_uid: bool,
    /// The call.
    pub call: Call,
    /// What its answer says.
    pub shape: Shape,
}

/// What a record looks like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Where it is in the answer, or where the list of them is.
    pub place: Place,
    /// Where the ESP's key for it is.
    pub key: Option<Template>,
    /// Where the address is.
    pub address: Option<Template>,
    /// Where the Gigya UID is.
    pub uid: Option<Template>,
    /// Objects whose members are fields.
    pub fields: Vec<Template>,
    /// Places without which a record isn't one.
    pub needs: Vec<Template>,
    /// What it says of consent; the first that fits.
    pub states: Vec<StateRule>,
    /// When that was said; the first that is there.
    pub times: Vec<Time>,
}

/// Where records are in an answer.
#[derive(Clone, Debug)]
pub enum Place {
    /// One, at a pointer.
    At(Template),
    /// Each of a list, at a pointer.
    Each(Template),
}

/// What a record's state means.
#[derive(Clone, Debug)]
pub struct StateRule {
    /// What it must say; all of it.
    pub conditions: Vec<Condition>,
    /// What that means.
    pub means: Standing,
    /// When that was said, if not where the shape has it.
    pub times: Vec<Time>,
}

/// What a record says of consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// May be mailed.
    OptedIn,
    /// May be mailed once they confirm.
    Pending,
    /// May not be mailed.
    OptedOut(OptOutReason),
    /// Nothing: it is known, and not of this audience.
    Unknown,
    /// Nothing, as if it weren't there.
    Absent,
}

/// Where a time is, and how it is written.
#[derive(Clone, Debug)]
pub struct Time {
    /// Where; of all that is there, the latest counts. `*` is each element of a list.
    pub pointers: Vec<Template>,
    /// How.
    pub format: TimeFormat,
    /// Whether it tells when consent changed; else when anything did.
    pub of_state: bool,
    /// By how much earlier it may have been.
    pub doubt: Duration,
}

/// How a time is written.
#[derive(Clone, Debug)]
pub enum TimeFormat {
    /// `2026-01-14T11:32:00Z`
    Rfc3339,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// A `strftime` pattern, on this zone's clock unless the pattern has an offset.
    Pattern(String, TimeZone),
}

/// How an audience is read as a whole.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The call for a page.
    pub call: Call,
    /// What is on it.
    pub shape: Shape,
    /// How many rows a page has.
    pub limit: u64,
    /// Where the number of all rows is.
    pub total: Option<Template>,
    /// Where the next page is.
    pub next: NextPage,
}

/// Where the next page of a list is.
#[derive(Clone, Debug)]
pub enum NextPage {
    /// So many rows further.
    Offset,
    /// At the URL that this pointer has; of the same host.
    Url(Template),
    /// Where the cursor that this pointer has says.
    Cursor(Template),
}
