//! SOAP envelopes, answers, and what their codes mean.
//!
//! Source: vendor pages of the SOAP API, and answers recorded in public SDKs. Errors come with HTTP status 200 and a
//! code for each object; throttling and expired tokens come as faults with status 500.

use crate::upstream::{self, Again, Fault, Verdict};
use bytes::Bytes;
use http::{Response, StatusCode};
use quick_xml::escape::escape;
use serde::Deserialize;
use std::fmt::Write;

/// The code of the fault "Rate Limited", for which no time is told.
const RATE_LIMITED: &str = "17";

/// What is done, as the `SOAPAction` header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    /// Of several objects, each of which is told what became of it.
    CreateMany,
    Update,
    Delete,
    Retrieve,
    Execute,
}

impl Action {
    /// The header's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create | Self::CreateMany => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Retrieve => "Retrieve",
            Self::Execute => "Execute",
        }
    }
}

/// The whole request; `body` is what stands in its body.
pub fn envelope(token: &str, body: &str) -> String {
    format!(
        "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><Header><fueloauth \
         xmlns=\"http://exacttarget.com\">{}</fueloauth></Header><Body>{body}</Body></Envelope>",
        escape(token)
    )
}

/// The namespace of what stands in a body.
const API: &str = "xmlns=\"http://exacttarget.com/wsdl/partnerAPI\"";

/// `CreateRequest`: with `over`, an object that is there already is updated.
pub fn create(object: &str, over: bool) -> String {
    let options = if over {
        "<Options><SaveOptions><SaveOption><PropertyName>*</PropertyName><SaveAction>UpdateAdd</SaveAction></SaveOption>\
         </SaveOptions></Options>"
    } else {
        "<Options/>"
    };
    format!("<CreateRequest {API}>{options}{object}</CreateRequest>")
}

/// `UpdateRequest`.
pub fn update(object: &str) -> String {
    format!("<UpdateRequest {API}><Options/>{object}</UpdateRequest>")
}

/// `DeleteRequest`.
pub fn delete(object: &str) -> String {
    format!("<DeleteRequest {API}><Options/>{object}</DeleteRequest>")
}

/// `RetrieveRequestMsg`: the first page, or the one that follows `continued`.
pub fn retrieve(
    object_type: &str,
    properties: &[&str],
    filter: Option<&Filter<'_>>,
    continued: Option<&str>,
) -> String {
    let mut text = format!("<RetrieveRequestMsg {API}><RetrieveRequest>");
    let _ = write!(text, "<ObjectType>{}</ObjectType>", element(object_type));
    if let Some(request) = continued {
        let _ = write!(text, "<ContinueRequest>{}</ContinueRequest>", element(request));
    }
    for property in properties {
        let _ = write!(text, "<Properties>{}</Properties>", element(property));
    }
    if let Some(filter) = filter {
        filter.write("Filter", &mut text);
    }
    text.push_str("</RetrieveRequest></RetrieveRequestMsg>");
    text
}

/// `ExecuteRequestMsg`.
pub fn execute(name: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = format!("<ExecuteRequestMsg {API}><Requests><Name>{name}</Name>");
    for (name, value) in parameters {
        let _ = write!(text, "<Parameters><Name>{name}</Name><Value>{}</Value></Parameters>", element(value));
    }
    text.push_str("</Requests></ExecuteRequestMsg>");
    text
}

/// A text as an element's content, without the characters that XML can't hold at all.
pub fn element(text: &str) -> String {
    let is_allowed =
        |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    escape(text.chars().filter(is_allowed).collect::<String>()).into_owned()
}

/// Which objects to retrieve.
#[derive(Debug)]
pub enum Filter<'a> {
    /// Whose property is one of these. Never empty.
    In(&'a str, Vec<&'a str>),
    /// That fit both.
    And(Box<Filter<'a>>, Box<Filter<'a>>),
    /// That fit one of both.
    Or(Box<Filter<'a>>, Box<Filter<'a>>),
}

impl Filter<'_> {
    fn write(&self, name: &str, text: &mut String) {
        match self {
            Self::In(property, values) => {
                let operator = if values.len() == 1 { "equals" } else { "IN" };
                let _ = write!(
                    text,
                    "<{name} xsi:type=\"SimpleFilterPart\"><Property>{}</Property><SimpleOperator>{operator}\
                     </SimpleOperator>",
                    element(property)
                );
                for value in values {
                    let _ = write!(text, "<Value>{}</Value>", element(value));
                }
            }
            Self::And(left, right) | Self::Or(left, right) => {
                let _ = write!(text, "<{name} xsi:type=\"ComplexFilterPart\">");
                left.write("LeftOperand", text);
                let operator = if matches!(self, Self::And(..)) { "AND" } else { "OR" };
                let _ = write!(text, "<LogicalOperator>{operator}</LogicalOperator>");
                right.write("RightOperand", text);
            }
        }
        let _ = write!(text, "</{name}>");
    }
}

/// How an answer was understood.
#[derive(Debug)]
pub enum Answer {
    /// Done, or told for each object what stood in the way.
    Done(Message),
    /// The token was refused.
    TokenRefused,
}

/// What stands in an answer's body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Message {
    /// `OK`, `Error`, `Has Errors`, `MoreDataAvailable`, `Error: ` and a text.
    pub overall_status: String,
    /// By which the next page is asked for.
    #[serde(rename = "RequestID")]
    pub request_id: String,
    /// One for each object.
    pub results: Vec<Row>,
}

/// What became of an object, or an object that was retrieved. All of it optional: which members come depends on what
/// was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Row {
    pub status_code: String,
    pub error_code: Option<String>,
    /// Which of the objects that were written, from 0.
    #[serde(rename = "OrdinalID")]
    pub ordinal_id: Option<String>,
    #[serde(rename = "ID")]
    pub id: Option<String>,
    pub subscriber_key: Option<String>,
    pub email_address: Option<String>,
    pub status: Option<String>,
    pub unsubscribed_date: Option<String>,
    pub modified_date: Option<String>,
    #[serde(rename = "ListID")]
    pub list_id: Option<String>,
    pub list_name: Option<String>,
    /// Of a data extension's column.
    pub name: Option<String>,
    pub is_primary_key: Option<String>,
    pub attributes: Vec<Pair>,
    pub properties: Properties,
}

/// A row's columns.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Properties {
    pub property: Vec<Pair>,
}

/// A name and a value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Pair {
    pub name: String,
    pub value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    body: Body,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    create_response: Option<Message>,
    update_response: Option<Message>,
    delete_response: Option<Message>,
    retrieve_response_msg: Option<Message>,
    execute_response_msg: Option<Message>,
    fault: Option<WireFault>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireFault {
    faultcode: String,
    faultstring: String,
    detail: Option<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    apifault: Option<ApiFault>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ApiFault {
    code: String,
}

/// Judges an answer.
pub fn judge(upstream: &str, operation: &str, action: Action, response: &Response<Bytes>) -> Verdict<Answer> {
    let text = std::str::from_utf8(response.body()).unwrap_or_default();
    let body = quick_xml::de::from_str::<Envelope>(text).map(|envelope| envelope.body).ok();
    if let Some(fault) = body.as_ref().and_then(|body| body.fault.as_ref()) {
        return judge_fault(upstream, operation, fault, response);
    }
    let message = body.and_then(|body| {
        let Body { create_response, update_response, delete_response, retrieve_response_msg, .. } = body;
        let others = retrieve_response_msg.or(body.execute_response_msg);
        create_response.or(update_response).or(delete_response).or(others)
    });
    match (response.status(), message) {
        (StatusCode::OK, Some(message)) if matches!(action, Action::Retrieve | Action::CreateMany) => {
            Verdict::Answer(Answer::Done(message))
        }
        (StatusCode::OK, Some(message)) => match message.written() {
            Ok(Written::Busy { code }) => {
                tracing::warn!(upstream, operation, code, "Marketing Cloud could not do it now");
                Verdict::Again(Again::Busy { code })
            }
            Ok(_) => Verdict::Answer(Answer::Done(message)),
            Err(fault) => Verdict::Fail(fault),
        },
        (StatusCode::OK, None) => Verdict::Fail(Fault::Unavailable { cause: "answer_not_understood" }),
        (StatusCode::UNAUTHORIZED, _) => Verdict::Answer(Answer::TokenRefused),
        (status, _) => super::rest::pace(response).unwrap_or_else(|| {
            let code = i64::from(status.as_u16());
            tracing::error!(upstream, operation, code, "Marketing Cloud refused the call");
            Verdict::Fail(Fault::Configuration { code })
        }),
    }
}

fn judge_fault(upstream: &str, operation: &str, fault: &WireFault, response: &Response<Bytes>) -> Verdict<Answer> {
    let api_code = fault.detail.as_ref().and_then(|detail| detail.apifault.as_ref()).map(|fault| fault.code.trim());
    if api_code == Some(RATE_LIMITED) {
        return Verdict::Again(Again::TooFast);
    }
    let said = |text: &str| fault.faultstring.to_ascii_lowercase().contains(text);
    if said("token expired") || said("login failed") || fault.faultcode.ends_with("Security") {
        return Verdict::Answer(Answer::TokenRefused);
    }
    let code = i64::from(response.status().as_u16());
    if said("insufficient privileges") {
        tracing::error!(
            upstream,
            operation,
            "the package lacks a permission; see docs/setup/marketing-cloud.md for those it needs"
        );
        return Verdict::Fail(Fault::Configuration { code });
    }
    tracing::warn!(upstream, operation, code, api_code, "Marketing Cloud answered with a fault");
    Verdict::Again(Again::Failing { code })
}

/// What became of one object of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Done.
    Done,
    /// There is no such object, or the subscriber isn't on the list.
    NotThere,
    /// There is one already.
    AlreadyThere,
    /// They are out already.
    AlreadyOut,
    /// They are on the list of those who never get mail from anybody, which the API can't change.
    Held,
    /// The list that the route names isn't there.
    NoSuchList,
    /// It fails in a way that can pass.
    Busy { code: i64 },
    /// It is refused, and always will be.
    Refused { code: i64 },
}

impl Message {
    /// What became of the one object that was written. Notes the call's id if it was.
    pub fn written(&self) -> Result<Written, Fault> {
        let written = match self.results.first() {
            Some(row) => Ok(row.written()),
            None if self.overall_status.eq_ignore_ascii_case("OK") => Ok(Written::Done),
            None => Err(Fault::Unavailable { cause: "answer_without_result" }),
        };
        if written == Ok(Written::Done) {
            upstream::note(Some(&self.request_id));
        }
        written
    }

    /// What became of each of so many objects; of one that isn't told of, nothing is known. Notes the call's id.
    pub fn written_many(&self, count: usize) -> Vec<Option<Written>> {
        let mut all = vec![None; count];
        for (nth, row) in self.results.iter().enumerate() {
            let told = row.ordinal_id.as_deref().and_then(|ordinal| ordinal.trim().parse().ok());
            if let Some(slot) = all.get_mut(told.unwrap_or(nth)) {
                *slot = Some(row.written());
            }
        }
        upstream::note(Some(&self.request_id));
        all
    }

    /// Whether another page follows.
    pub fn has_more(&self) -> bool {
        self.overall_status == "MoreDataAvailable" && !self.request_id.is_empty()
    }

    /// Whether a retrieval failed.
    pub fn is_error(&self) -> bool {
        self.overall_status.starts_with("Error")
    }

    /// Whether it failed because a property can't be retrieved of this kind of object.
    pub fn is_unknown_property(&self) -> bool {
        self.is_error() && self.overall_status.contains("do not match with the fields")
    }
}

impl Row {
    fn written(&self) -> Written {
        if self.status_code.eq_ignore_ascii_case("OK") {
            return Written::Done;
        }
        meaning(self.error_code.as_deref().and_then(|code| code.trim().parse().ok()))
    }
}

/// What an object's code means. A code that we don't know may pass: it is put off, not given up.
fn meaning(code: Option<i64>) -> Written {
    let Some(code) = code else { return Written::Busy { code: 0 } };
    match code {
        12001 | 12009 | 12015 | 13007 => Written::NotThere,
        12003 => Written::Held,
        401 | 12012 => Written::AlreadyOut,
        12014 | 13006 => Written::AlreadyThere,
        13000 => Written::NoSuchList,
        // Address, spam trap, attributes, key and address that don't fit, created in a state that can't be, blocked
        // domains; and of LogUnsubEvent: nobody named, key needed, parts that don't fit.
        403..=407 | 12000 | 12002 | 12004 | 12006 | 12007 | 12011 | 12016 | 12021 | 12022 | 14000..=14040 => {
            Written::Refused { code }
        }
        _ => Written::Busy { code },
    }
}

#[cfg(test)]
mod tests;
