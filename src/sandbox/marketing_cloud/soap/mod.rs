//! The SOAP calls: the envelope, the token in its header, and how they fail (vendor pages of the SOAP API; shapes
//! of answers from those that the public client SFMC-SDK has recorded).
//!
//! | room | what is in it |
//! | --- | --- |
//! | `xml` | reading a document |
//! | `write` | Create, Update, Delete |
//! | `retrieve`, `objects`, `filter` | Retrieve: pages; objects and their properties; which of them |
//! | `execute` | LogUnsubEvent |

mod execute;
mod filter;
mod objects;
mod retrieve;
mod write;
mod xml;

pub use retrieve::Pages;

use super::MarketingCloudSim;
use super::door::Call;
use super::tokens::Good;
use axum::body::Body;
use axum::http::{HeaderName, Method, Response, header};
use quick_xml::escape::escape;
use std::fmt::Write;
use xml::Element;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const PARTNER: &str = "http://exacttarget.com/wsdl/partnerAPI";
const TOKEN: &str = "http://exacttarget.com";
const ACTION: HeaderName = HeaderName::from_static("soapaction");

/// A call, read.
pub struct Request {
    token: String,
    /// What the body holds: `CreateRequest` and so on.
    message: Element,
}

impl Request {
    /// Reads a call; none if it can't be.
    pub fn read(call: &Call) -> Option<Self> {
        let envelope = Element::read(std::str::from_utf8(&call.body).ok()?)?;
        let is_soap = |element: &Element, name: &str| element.name == name && element.namespace == SOAP;
        let part = |name: &str| envelope.children.iter().find(|child| is_soap(child, name));
        let message = part("Body")?.children.first().filter(|message| message.namespace == PARTNER)?.clone();
        let token = part("Header").and_then(|header| header.child("fueloauth"));
        let token = token.filter(|token| token.namespace == TOKEN).map(|token| token.text.trim().to_owned());
        let is_right = is_soap(&envelope, "Envelope") && call.header(ACTION).trim_matches('"') == action(&message)?;
        is_right.then(|| Self { token: token.unwrap_or_default(), message })
    }

    /// A name for it, for counting and for scripting.
    pub fn operation(&self) -> &'static str {
        let asked = self.message.child("RetrieveRequest");
        let object = asked.and_then(|asked| asked.text_of("ObjectType")).unwrap_or_default();
        match action(&self.message) {
            Some("Create") => "soap.create",
            Some("Update") => "soap.update",
            Some("Delete") => "soap.delete",
            Some("Execute") => "soap.execute",
            Some(_) if asked.is_some_and(|asked| asked.child("ContinueRequest").is_some()) => "soap.retrieve.continue",
            Some(_) if object == "Subscriber" => "soap.retrieve.subscriber",
            Some(_) if object == "ListSubscriber" => "soap.retrieve.listsubscriber",
            Some(_) if object.starts_with("DataExtensionObject[") => "soap.retrieve.row",
            _ => "soap.retrieve.other",
        }
    }
}

/// The action that a message is for, as the `SOAPAction` header names it.
fn action(message: &Element) -> Option<&'static str> {
    match message.name.as_str() {
        "CreateRequest" => Some("Create"),
        "UpdateRequest" => Some("Update"),
        "DeleteRequest" => Some("Delete"),
        "RetrieveRequestMsg" => Some("Retrieve"),
        "ExecuteRequestMsg" => Some("Execute"),
        _ => None,
    }
}

/// What can't be understood. (Answered with HTTP status 400 and a line of text.)
#[derive(Debug)]
struct Unreadable;

impl MarketingCloudSim {
    /// Answers a SOAP call.
    pub(super) fn soap(&self, call: &Call, request: Option<&Request>) -> Response<Body> {
        if !call.header(header::CONTENT_TYPE).starts_with("text/xml") {
            return text(415, "Unsupported Media Type");
        }
        let Some(request) = request.filter(|_| call.method == Method::POST) else { return text(400, "Bad Request") };
        match self.token_is_good(&request.token) {
            Good::ForAll => {}
            Good::No => return fault("q0:Security", "Token Expired", ""),
            // How a token without rights is refused here isn't documented.
            Good::ForNothing => return fault("q0:Security", "Insufficient Privileges", ""),
        }
        let message = &request.message;
        let answered = match action(message) {
            Some("Create") => self.create(message),
            Some("Update") => self.update(message),
            Some("Delete") => self.delete(message),
            Some("Retrieve") => self.retrieve(message),
            _ => self.execute(message),
        };
        answered.map_or_else(|Unreadable| text(400, "Bad Request"), |body| envelope(200, &body))
    }
}

/// Too many calls: not a 429 here (vendor page "Rate limiting" of the SOAP API).
pub fn rate_limited() -> Response<Body> {
    let detail = format!(
        "<detail><apifault xmlns=\"{PARTNER}\"><Code>17</Code><Message>Rate Limited</Message><LogID />\
         <Params /></apifault></detail>"
    );
    fault("soap:Client", "Rate Limited", &detail)
}

fn fault(code: &str, reason: &str, detail: &str) -> Response<Body> {
    let security = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    envelope(
        500,
        &format!(
            "<soap:Fault><faultcode xmlns:q0=\"{security}\">{code}</faultcode><faultstring>{reason}</faultstring>\
             <faultactor>https://simulated.soap.marketingcloudapis.com/Service.asmx</faultactor>{detail}</soap:Fault>"
        ),
    )
}

fn envelope(status: u16, body: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"{SOAP}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\"><soap:Header><wsa:MessageID>urn:uuid:{}\
         </wsa:MessageID></soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>",
        crate::sandbox::new_uuid()
    );
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "text/xml; charset=utf-8");
    response.body(Body::from(text)).expect("the statuses here are valid")
}

fn text(status: u16, line: &'static str) -> Response<Body> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain");
    response.body(Body::from(line)).expect("the statuses here are valid")
}

/// The result of one object of a call.
struct Outcome {
    /// Code and message of an error, or a message.
    told: Result<String, (u32, String)>,
    /// Elements that only some calls have.
    more: String,
}

/// A list of results with what they come to.
fn results(message: &str, outcomes: &[Outcome], status_first: bool) -> String {
    let failed = outcomes.iter().filter(|outcome| outcome.told.is_err()).count();
    let overall = match failed {
        0 => "OK",
        _ if failed == outcomes.len() => "Error",
        _ => "Has Errors",
    };
    let mut list = String::new();
    for (ordinal, outcome) in outcomes.iter().enumerate() {
        let (code, error, told) = match &outcome.told {
            Ok(told) => ("OK", String::new(), told),
            Err((code, told)) => ("Error", format!("<ErrorCode>{code}</ErrorCode>"), told),
        };
        let told = escape(told.as_str());
        let _ = write!(
            list,
            "<Results><StatusCode>{code}</StatusCode><StatusMessage>{told}</StatusMessage>\
             <OrdinalID>{ordinal}</OrdinalID>{error}{}</Results>",
            outcome.more
        );
    }
    let id = format!("<RequestID>{}</RequestID>", crate::sandbox::new_uuid());
    let overall = format!("<OverallStatus>{overall}</OverallStatus>");
    let inner = if status_first { format!("{overall}{id}{list}") } else { format!("{list}{id}{overall}") };
    format!("<{message} xmlns=\"{PARTNER}\">{inner}</{message}>")
}
