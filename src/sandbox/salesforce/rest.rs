//! The calls.

use super::answers::{Answer, described, render, saved};
use super::soql::Query;
use super::world::{Row, UID, World};
use super::{CLIENT_ID, CLIENT_SECRET, SalesforceSim};
use crate::sandbox::faults::meet;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query as Parameters, State as Shared};
use axum::http::{HeaderMap, Method, Response, header};
use axum::routing::{any, post};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use std::collections::HashMap;
use url::form_urlencoded;

const ROOT: &str = "/services/data/v60.0";

impl SalesforceSim {
    /// The API.
    pub fn router(&self) -> axum::Router {
        axum::Router::new()
            .route("/services/oauth2/token", post(token))
            .route("/services/data/v60.0/{*path}", any(handle))
            .with_state(self.clone())
    }
}

async fn token(Shared(sim): Shared<SalesforceSim>, body: Bytes) -> Response<Body> {
    let fate = sim.faults().draw("token");
    let work = || {
        let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
        if !is_good(&sim, &form) {
            let refused = json!({ "error": "invalid_client", "error_description": "as simulated" });
            return render(Ok((400, refused)));
        }
        let session = sim.world().session();
        render(Ok((
            200,
            json!({ "access_token": session, "token_type": "Bearer", "instance_url": "https://example.com" }),
        )))
    };
    meet(fate, work, || render(Err((503, "SERVER_UNAVAILABLE")))).await
}

fn is_good(sim: &SalesforceSim, form: &HashMap<String, String>) -> bool {
    let said = |name: &str| form.get(name).map(String::as_str);
    match &sim.settings().jwt_key {
        None => {
            said("grant_type") == Some("client_credentials")
                && said("client_id") == Some(CLIENT_ID)
                && said("client_secret") == Some(CLIENT_SECRET)
        }
        Some(key) => {
            let mut validation = Validation::new(Algorithm::RS256);
            validation.set_audience(&["https://login.salesforce.com"]);
            validation.set_issuer(&[CLIENT_ID]);
            let key = DecodingKey::from_rsa_pem(key.as_bytes());
            said("grant_type") == Some("urn:ietf:params:oauth:grant-type:jwt-bearer")
                && key.is_ok_and(|key| {
                    let claims =
                        jsonwebtoken::decode::<Value>(said("assertion").unwrap_or_default(), &key, &validation);
                    claims.is_ok_and(|claims| claims.claims["sub"] == "gateway@example.com")
                })
        }
    }
}

async fn handle(
    Shared(sim): Shared<SalesforceSim>,
    Path(path): Path<String>,
    Parameters(parameters): Parameters<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let parts: Vec<&str> = path.split('/').collect();
    let operation = operation(&method, &parts);
    let fate = sim.faults().draw(operation);
    let call = Call {
        method: &method,
        parts: &parts,
        query: parameters.get("q").map(String::as_str),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        unless_since: headers.get(header::IF_UNMODIFIED_SINCE).and_then(|value| http_date(value.to_str().ok()?)),
    };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let work = || {
        let answer = {
            let mut world = sim.world();
            world.interrupt(operation);
            if bearer != format!("Bearer {}", world.session()) {
                Err((401, "INVALID_SESSION_ID"))
            } else if world.used_up {
                Err((403, "REQUEST_LIMIT_EXCEEDED"))
            } else {
                world.answer(call)
            }
        };
        sim.publish();
        render(answer)
    };
    meet(fate, work, || render(Err((503, "SERVER_UNAVAILABLE")))).await
}

fn operation(method: &Method, parts: &[&str]) -> &'static str {
    match (method.as_str(), parts) {
        ("GET", ["query"]) => "query",
        ("GET", ["query", _]) => "query.more",
        ("GET", ["sobjects", _, "describe"]) => "describe",
        ("PATCH", ["sobjects", _, _, _]) => "upsert",
        ("PATCH", ["sobjects", _, _]) => "update",
        ("DELETE", _) => "delete",
        ("PATCH", ["composite", ..]) => "collection",
        _ => "other",
    }
}

struct Call<'a> {
    method: &'a Method,
    parts: &'a [&'a str],
    query: Option<&'a str>,
    body: Value,
    unless_since: Option<Timestamp>,
}

impl World {
    fn answer(&mut self, call: Call<'_>) -> Answer {
        let Call { method, parts, query, body, unless_since } = call;
        let row = |body: Value| match body {
            Value::Object(row) => Ok::<Row, _>(row),
            _ => Err((400, "JSON_PARSER_ERROR")),
        };
        match (method.as_str(), parts) {
            ("GET", ["query"]) => {
                let query = query.and_then(Query::read).ok_or((400, "MALFORMED_QUERY"))?;
                let rows: Vec<Value> =
                    self.records(&query.object).filter(|row| query.fits(row)).map(|row| query.shown(row)).collect();
                let rows = rows.into_iter().filter_map(|row| row.as_object().cloned()).collect();
                Ok((200, self.page(rows, true)))
            }
            ("GET", ["query", cursor]) => {
                let rows = self.cursors.get(*cursor).cloned().ok_or((400, "INVALID_QUERY_LOCATOR"))?;
                Ok((200, self.page(rows, false)))
            }
            ("GET", ["sobjects", _, "describe"]) => {
                Ok((200, described(&self.settings.opt_out_field(), self.settings.address_field())))
            }
            ("PATCH", ["sobjects", object, UID, uid]) => {
                let (created, id) = self.upsert(object, uid, row(body)?)?;
                let status = if created { 201 } else { 200 };
                Ok((status, json!({ "id": id, "success": true, "created": created, "errors": [] })))
            }
            ("PATCH", ["sobjects", object, id]) => {
                self.update(object, id, row(body)?, unless_since)?;
                Ok((204, Value::Null))
            }
            ("DELETE", ["sobjects", object, id]) => {
                self.delete_by_call(object, id)?;
                Ok((204, Value::Null))
            }
            ("PATCH", ["composite", "sobjects", object, UID]) => self.collection(object, &body),
            _ => Err((404, "NOT_FOUND")),
        }
    }

    fn collection(&mut self, object: &str, body: &Value) -> Answer {
        let records = body["records"].as_array().filter(|records| records.len() <= 200);
        let records = records.ok_or((400, "LIMIT_EXCEEDED"))?;
        let mut results = Vec::new();
        for record in records {
            let mut row = record.as_object().cloned().unwrap_or_default();
            let kind = row.remove("attributes").map(|attributes| attributes["type"].clone());
            if kind.as_ref().and_then(Value::as_str) != Some(object) {
                return Err((400, "INVALID_TYPE"));
            }
            let uid = row.get(UID).and_then(Value::as_str).map(ToOwned::to_owned);
            results.push(saved(match uid {
                Some(uid) => self.upsert(object, &uid, row),
                None => Err((400, "MISSING_ARGUMENT")),
            }));
        }
        Ok((200, results.into()))
    }

    /// A page; what doesn't fit is kept under a cursor.
    fn page(&mut self, mut rows: Vec<Row>, is_first: bool) -> Value {
        let total = rows.len();
        let rest = rows.split_off(self.settings.page.min(total));
        let mut page = json!({ "done": rest.is_empty(), "records": rows });
        if is_first {
            page["totalSize"] = total.into();
        }
        if !rest.is_empty() {
            let cursor = format!("01gsimulated-{}", self.cursors.len());
            page["nextRecordsUrl"] = format!("{ROOT}/query/{cursor}").into();
            self.cursors.insert(cursor, rest);
        }
        page
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}
