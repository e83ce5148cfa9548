//! The API document, as something to hold answers against.

use super::{Exchange, Port};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Headers of the protocol, which no API document lists, and `cache-control`, which is the same everywhere.
const OF_THE_PROTOCOL: [&str; 6] =
    ["cache-control", "connection", "content-length", "content-type", "date", "transfer-encoding"];
/// Where answers stand that no operation is for.
const COMPONENTS: &str = "/components/responses";

pub struct Document {
    document: Value,
    /// By the schema's text, as building one takes a while.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    pub fn new(document: Value) -> Self {
        Self { document, validators: Mutex::default() }
    }

    /// Says what about an answer isn't in the document, and where it would have to be.
    pub fn check(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let (place, response) = self.response(exchange)?;
        let said = |what: &str| {
            let request =
                exchange.request.map_or("no request".to_owned(), |(method, target)| format!("{method} {target}"));
            let body = String::from_utf8_lossy(exchange.body);
            format!(
                "the answer {} to {request} is not what openapi/gigya-esp-gateway.json says at {place}: {what}\n\
                 headers: {:?}\nbody: {body:.2000}",
                exchange.status, exchange.headers
            )
        };
        self.check_headers(exchange, response).map_err(|what| said(&what))?;
        self.check_body(exchange, response).map_err(|what| said(&what))
    }

    /// Where the document has this status for this request, and what.
    fn response(&self, exchange: &Exchange<'_>) -> Result<(String, &Value), String> {
        let status = exchange.status.to_string();
        let Some((method, target)) = exchange.request else {
            return self.component(exchange, &[("400", "NotHttp"), ("431", "HeadTooLarge")]);
        };
        // What CONNECT and OPTIONS may name instead of a path is no path.
        let path = target.split('?').next().unwrap_or_default();
        let Some((template, item)) = self.path_item(exchange.port, path) else {
            return self.component(exchange, &[("404", "NotFound"), ("431", "HeadTooLarge"), ("503", "TryAgain")]);
        };
        let method = if method == "HEAD" { "get".to_owned() } else { method.to_ascii_lowercase() };
        let Some(operation) = item.get(&method) else {
            let ways = [("405", "MethodNotAllowed"), ("431", "HeadTooLarge"), ("503", "TryAgain")];
            return self.component(exchange, &ways);
        };
        let place = format!("paths / {template} / {method} / responses / {status}");
        match operation["responses"].get(&status) {
            Some(response) => Ok((place, self.resolve(response))),
            None => Err(format!(
                "the gateway answered {status} to {method} {path}, and openapi/gigya-esp-gateway.json has no such \
                 status. It would have to be at {place}\nheaders: {:?}\nbody: {:.2000}",
                exchange.headers,
                String::from_utf8_lossy(exchange.body)
            )),
        }
    }

    /// The answer to what no operation is for: one of these.
    fn component(&self, exchange: &Exchange<'_>, ways: &[(&str, &str)]) -> Result<(String, &Value), String> {
        let status = exchange.status.to_string();
        let name = ways.iter().find(|(of, _)| *of == status).map(|(_, name)| *name);
        let response = name.and_then(|name| self.document.pointer(&format!("{COMPONENTS}/{name}")));
        let what = || format!("{:?} on {:?} is answered {status}", exchange.request, exchange.port);
        let missing = || {
            format!(
                "{}, and for what no operation in openapi/gigya-esp-gateway.json is for there is only {ways:?}\n{:?}",
                what(),
                exchange.headers
            )
        };
        Ok((format!("components / responses / {}", name.ok_or_else(missing)?), response.ok_or_else(missing)?))
    }

    /// The path's template and its item, if one on that port fits.
    fn path_item(&self, port: Port, path: &str) -> Option<(&str, &Map<String, Value>)> {
        let tag = match port {
            Port::Webhooks => "webhooks",
            Port::Operations => "operations",
        };
        let paths = self.document["paths"].as_object()?.iter();
        let mut items = paths.filter_map(|(template, item)| Some((template.as_str(), item.as_object()?)));
        items.find(|(template, item)| {
            item.values().any(|operation| operation["tags"] == json!([tag])) && fits(template, path)
        })
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap_or(&Value::Null),
            None => value,
        }
    }

    fn check_headers(&self, exchange: &Exchange<'_>, response: &Value) -> Result<(), String> {
        let none = Map::new();
        let listed = response["headers"].as_object().unwrap_or(&none);
        for (name, value) in exchange.headers {
            let documented = listed.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            match documented {
                Some((known, header)) => {
                    let text = json!(value);
                    let number = value.parse::<i64>().map_or(Value::Null, Value::from);
                    let validator = self.validator(&header["schema"]);
                    if !validator.is_valid(&text) && !validator.is_valid(&number) {
                        return Err(format!("its header {known} is {value:?}, which is against headers / {known}"));
                    }
                }
                None if OF_THE_PROTOCOL.contains(&name.to_ascii_lowercase().as_str()) => {}
                None => return Err(format!("it has a header {name}, which would have to be in its headers")),
            }
        }
        let has = |name: &str| exchange.headers.iter().any(|(sent, _)| sent.eq_ignore_ascii_case(name));
        match listed.iter().find(|(name, header)| header["required"] == true && !has(name)) {
            Some((name, _)) => Err(format!("it has no header {name}, which is required there")),
            None => Ok(()),
        }
    }

    fn check_body(&self, exchange: &Exchange<'_>, response: &Value) -> Result<(), String> {
        let stated = exchange.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let stated = stated.map(|(_, value)| value.split(';').next().unwrap_or_default().trim());
        let Some(contents) = response["content"].as_object() else {
            return match stated {
                None if exchange.body.is_empty() => Ok(()),
                _ => Err(format!("it has a body, of type {stated:?}, and there is no content")),
            };
        };
        let essence = stated.ok_or("it has no content-type")?;
        let content = contents.get(essence).ok_or_else(|| format!("its type {essence:?} is not in its content"))?;
        if exchange.request.is_some_and(|(method, _)| method == "HEAD") {
            return if exchange.body.is_empty() { Ok(()) } else { Err("it has a body, to HEAD".to_owned()) };
        }
        let body = if essence.ends_with("json") {
            serde_json::from_slice(exchange.body).map_err(|error| format!("its body is no JSON: {error}"))?
        } else {
            json!(std::str::from_utf8(exchange.body).map_err(|error| format!("its body is no text: {error}"))?)
        };
        let errors: Vec<_> = self
            .validator(&content["schema"])
            .iter_errors(&body)
            .map(|error| {
                format!("{error} (at {:?}, against {})", error.instance_path().to_string(), error.schema_path())
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(format!("its body: {}", errors.join("; "))) }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let known = validators.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = self.document["components"].clone();
            close(&mut whole);
            let built = jsonschema::options().with_draft(Draft::Draft202012).build(&whole);
            Arc::new(built.expect("the document's schemas are JSON Schema"))
        });
        Arc::clone(known)
    }
}

/// Takes "other members are fine" out of a schema. To a reader of answers they are, as a later version may have more; to
/// the tests, a member that isn't documented is a mistake.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) && members.contains_key("type") {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Whether a path is one of a template's.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(
            |(wanted, found)| {
                if wanted.starts_with('{') { !found.is_empty() } else { wanted == found }
            },
        )
}
