//! Calls: method, path, query, headers, body; and what their answers mean.

use super::{Scope, scalar, tables, template, template_at, texts_of};
use crate::config::http::{
    Allowed, AnswerRule, Call, CallBody, Condition, Hole, Json, Keep, Meaning, Piece, Source, Template, Test,
};
use crate::config::problem::Place;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Table, Value};
use http::{HeaderName, Method};

/// The calls of one operation, in order; `None` if it isn't there, or can't be used.
pub fn operation(
    reader: &mut Reader<'_>,
    key: &'static str,
    allowed: Allowed,
    scope: &Scope,
    moves_address: &mut bool,
) -> Option<Vec<Call>> {
    let tables = tables(reader, key)?;
    let (mut scope, mut calls) = (scope.clone(), Some(Vec::new()));
    for (name, place, table) in tables {
        let keeps = match table.get("keep").map(|node| &node.value) {
            Some(Value::Table(keep)) => keep.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let mut inner = reader.sub(&name, place, table);
        if key == "update" {
            *moves_address |= inner.flag("moves_address", false);
        }
        let call = one(&mut inner, "POST", allowed, &scope);
        inner.end();
        scope.kept.extend(keeps);
        calls = calls.zip(call).map(|(mut calls, call)| {
            calls.push(call);
            calls
        });
    }
    let calls = calls.filter(|calls| !calls.is_empty())?;
    if reader.reported_below(key) {
        return Some(calls);
    }
    if calls.iter().all(|call| call.method == Method::GET) {
        reader.report(
            key,
            None,
            "changes nothing: it only looks",
            "write the method that the API wants: POST, PUT, ..",
        );
    }
    if !calls.iter().any(|call| call.names(is_somebody)) {
        let remedy = "put {email}, {former_email}, {record} or {uid} where the API takes it";
        reader.report(key, None, "names nobody: it would be about everybody, or about no one", remedy);
    }
    Some(calls)
}

/// Whether a place tells whom a call is about.
const fn is_somebody(source: &Source) -> bool {
    matches!(source, Source::Email | Source::FormerEmail | Source::Record | Source::Uid | Source::Kept(_))
}

/// One call, out of its table.
pub fn one(reader: &mut Reader<'_>, method: &str, allowed: Allowed, scope: &Scope) -> Option<Call> {
    let methods = [
        ("GET", &Method::GET),
        ("POST", &Method::POST),
        ("PUT", &Method::PUT),
        ("PATCH", &Method::PATCH),
        ("DELETE", &Method::DELETE),
    ];
    let usual = methods.iter().find(|(name, _)| *name == method).map_or(&Method::POST, |(_, method)| *method);
    let method = reader.choice("method", &methods).unwrap_or(usual).clone();
    let path = reader.required_text("path", "write what follows the base URL: \"/contacts/{email}\"");
    let path = path.and_then(|(text, place)| {
        if !text.starts_with('/') || text.starts_with("//") || text.contains(['?', '#']) {
            let remedy = "begin it with one slash, below base_url; what follows a question mark goes to query";
            reader.report("path", Some(&place), "is not a path below the base URL", remedy);
            return None;
        }
        let path = template(reader, "path", (&place, &text), allowed, scope)?;
        if let Some(what) = not_a_path(&path) {
            reader.report(
                "path",
                Some(&place),
                what,
                "write what isn't a place as it stands in a URL: %20 for a blank",
            );
        }
        Some(path)
    });
    let mut query = Vec::new();
    for (name, (place, text)) in texts_of(reader, "query") {
        query.extend(
            template(reader, &format!("query.{name}"), (&place, &text), allowed, scope).map(|text| (name, text)),
        );
    }
    let headers = headers(reader, Allowed { secrets: true, ..allowed }, scope);
    let body = body(reader, Allowed { objects: true, ..allowed }, scope);
    let answers = answers(reader, allowed, scope);
    let keep = keep(reader, allowed, scope);
    Some(Call { method, path: path?, query, headers, body, answers, keep })
}

/// What keeps a path from being one, besides what comes to its places.
fn not_a_path(path: &Template) -> Option<&'static str> {
    // RFC 3986, 3.3.
    let may_stand = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(c);
    let literal = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Hole(_) => "x".to_owned(),
    };
    let filled: String = path.0.iter().map(literal).collect();
    let is_escaped = |rest: &str| rest.get(..2).is_some_and(|two| two.bytes().all(|c| c.is_ascii_hexdigit()));
    if !filled.chars().all(may_stand) || !filled.split('%').skip(1).all(is_escaped) {
        return Some("has a character that a URL's path can't");
    }
    filled.split('/').any(|part| matches!(part, "." | "..")).then_some("leads elsewhere, by \".\" or \"..\"")
}

/// Calls that `check --online` makes besides.
pub fn probes(reader: &mut Reader<'_>, scope: &Scope) -> Vec<(String, Call)> {
    let mut probes = Vec::new();
    for (name, place, table) in tables(reader, "probe").unwrap_or_default() {
        let mut inner = reader.sub(&name, place, table);
        let what = inner.required_text("what", "say what it looks at: \"unsubscribe group\"").map(|(what, _)| what);
        let call = one(&mut inner, "GET", Allowed::default(), scope);
        inner.end();
        probes.extend(what.zip(call));
    }
    probes
}

/// What of the answer later calls may use.
fn keep(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Vec<(String, Keep)> {
    let Some((table, place)) = reader.table("keep").filter(|_| allowed.kept) else { return Vec::new() };
    let mut keep = reader.sub("keep", place, Table::new());
    let mut kept = Vec::new();
    for (name, node) in table {
        let Value::Table(table) = node.value else {
            keep.report(&name, Some(&node.place), "is not a table", "write { pointer = \"/id\" }");
            continue;
        };
        let mut one = keep.sub(&name, node.place, table);
        let pointer = pointer(&mut one, "pointer", allowed, scope);
        let without = template_at(&mut one, "without", allowed, scope);
        let mut when = Vec::new();
        for (name, place, table) in tables(&mut one, "when").unwrap_or_default() {
            let mut inner = one.sub(&name, place, table);
            when.extend(conditions(&mut inner, None, allowed, scope));
            inner.end();
        }
        one.end();
        kept.extend(pointer.map(|pointer| (name, Keep { pointer, without, when })));
    }
    kept
}

/// Headers by name.
pub fn headers(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Vec<(HeaderName, Template)> {
    let mut headers = Vec::new();
    for (name, (place, text)) in texts_of(reader, "headers") {
        let key = format!("headers.{name}");
        let Ok(header) = HeaderName::try_from(&name) else {
            reader.report(&key, Some(&place), "is not a header's name", "use letters, digits and -");
            continue;
        };
        let Some(template) = template(reader, &key, (&place, &text), allowed, scope) else { continue };
        if text.contains(char::is_control) {
            reader.report(&key, Some(&place), "has a line break in it", "a header is one line");
        }
        let is_secret = |hole: &Hole| matches!(hole.source, Source::Secret(_));
        if is_credential(&header) && !template.holes().any(is_secret) {
            let remedy = "write {secret:NAME}, and secrets = { NAME = { env = \"VARIABLE\" } }";
            reader.report(&key, Some(&place), "has no secret in it", remedy);
        }
        headers.push((header, template));
    }
    headers
}

/// Whether a header is one of those in which a secret is sent.
fn is_credential(header: &HeaderName) -> bool {
    let name = header.as_str();
    *header == http::header::AUTHORIZATION
        || ["api-key", "apikey", "token", "secret"].iter().any(|word| name.contains(word))
}

fn body(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> CallBody {
    let form = reader.has("form");
    if reader.has("json") && form {
        reader.take("form");
        reader.report("form", None, "is there beside json", "keep one of the two");
    }
    let json = reader.take("json").and_then(|node| json(reader, "json", node, allowed, scope));
    if let Some(json) = json {
        return CallBody::Json(json);
    }
    if !form {
        return CallBody::None;
    }
    let mut fields = Vec::new();
    for (name, (place, text)) in texts_of(reader, "form") {
        let key = format!("form.{name}");
        let Some(template) = template(reader, &key, (&place, &text), allowed, scope) else { continue };
        let is_object = template.holes().any(|hole| matches!(hole.source, Source::Fields | Source::OwnFields));
        if is_object != name.contains('*') {
            let remedy = "write \"NAME[*]\" = \"{fields}\", which is repeated for each field";
            reader.report(&key, Some(&place), "has all fields and no * in its name, or the other way around", remedy);
        }
        fields.push((name, template));
    }
    CallBody::Form(fields)
}

/// A body in JSON: in the shape of TOML, whose texts are templates; or all of it as one text in JSON.
fn json(reader: &mut Reader<'_>, key: &str, node: Node, allowed: Allowed, scope: &Scope) -> Option<Json> {
    if let (Value::Text(text), "json") = (&node.value, key)
        && let Some(value) = serde_json::from_str(text).ok().filter(|value: &serde_json::Value| !value.is_number())
    {
        return from_json(reader, (&node.place, value), allowed, scope);
    }
    Some(match node.value {
        Value::Text(text) => Json::Text(template(reader, key, (&node.place, &text), allowed, scope)?),
        Value::Integer(number) => Json::Value(number.into()),
        Value::Decimal(number) => Json::Value(number.into()),
        Value::Flag(flag) => Json::Value(flag.into()),
        Value::List(items) => {
            let items = items.into_iter().map(|item| json(reader, &format!("{key}[]"), item, allowed, scope));
            Json::List(items.collect::<Option<_>>()?)
        }
        Value::Table(table) => {
            let members = table.into_iter().map(|(name, node)| {
                let value = json(reader, &format!("{key}.{name}"), node, allowed, scope)?;
                Some((name, value))
            });
            Json::Object(members.collect::<Option<_>>()?)
        }
        Value::Other => {
            reader.report(key, Some(&node.place), "is a date", "put it in double quotes");
            return None;
        }
    })
}

fn from_json(
    reader: &mut Reader<'_>,
    (place, value): (&Place, serde_json::Value),
    allowed: Allowed,
    scope: &Scope,
) -> Option<Json> {
    Some(match value {
        serde_json::Value::String(text) => Json::Text(template(reader, "json", (place, &text), allowed, scope)?),
        serde_json::Value::Array(items) => {
            let items = items.into_iter().map(|item| from_json(reader, (place, item), allowed, scope));
            Json::List(items.collect::<Option<_>>()?)
        }
        serde_json::Value::Object(members) => {
            let members = members
                .into_iter()
                .map(|(name, value)| Some((name, from_json(reader, (place, value), allowed, scope)?)));
            Json::Object(members.collect::<Option<_>>()?)
        }
        value => Json::Value(value),
    })
}

fn answers(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Vec<AnswerRule> {
    let meanings = [
        ("done", Meaning::Done),
        ("found", Meaning::Done),
        ("nothing_to_do", Meaning::NothingToDo),
        ("absent", Meaning::NothingToDo),
        ("held", Meaning::Held),
        ("moved", Meaning::Moved),
        ("rejected", Meaning::Rejected),
        ("configuration", Meaning::Configuration),
        ("busy", Meaning::Busy),
        ("failing", Meaning::Failing),
    ];
    let mut rules = Vec::new();
    for (name, place, table) in tables(reader, "answers").unwrap_or_default() {
        let mut rule = reader.sub(&name, place, table);
        let statuses = statuses(&mut rule);
        let conditions = conditions(&mut rule, None, allowed, scope);
        let means = rule.choice("means", &meanings);
        if means.is_none() && !rule.reported("means") {
            rule.missing("means", "say what it means: \"done\", \"nothing_to_do\", \"held\", ..");
        }
        if statuses.is_empty() && conditions.is_empty() && !rule.reported("status") {
            rule.report("", None, "fits every answer", "name a status, or what the body must say");
        }
        let is_end = matches!(means, Some(Meaning::Done | Meaning::NothingToDo));
        if is_end && conditions.is_empty() && statuses.iter().any(|status| is_no_end(*status, means)) {
            let remedy =
                "such an answer tells nothing of anybody; name what its body must say, or leave the status out";
            rule.report("status", None, "can't mean that", remedy);
        }
        rule.end();
        rules.extend(means.map(|means| AnswerRule { statuses, conditions, means }));
    }
    rules
}

/// Whether a status by itself can't mean that something is done, or that there is nobody.
const fn is_no_end(status: u16, means: Option<Meaning>) -> bool {
    let is_success = 200 <= status && status < 300;
    match means {
        Some(Meaning::NothingToDo) if is_success => true,
        _ => matches!(status, 401 | 403 | 407 | 408 | 429) || status >= 500,
    }
}

/// A status or a list of them.
fn statuses(rule: &mut Reader<'_>) -> Vec<u16> {
    let Some(node) = rule.take("status") else { return Vec::new() };
    let status = |node: &Node| match node.value {
        Value::Integer(number) => u16::try_from(number).ok().filter(|status| (100..600).contains(status)),
        _ => None,
    };
    let statuses = match &node.value {
        Value::List(items) => items.iter().map(status).collect::<Option<Vec<_>>>(),
        _ => status(&node).map(|status| vec![status]),
    };
    if statuses.is_none() {
        rule.report("status", Some(&node.place), "is no HTTP status", "write 404, or [404, 410]");
    }
    statuses.unwrap_or_default()
}

/// What a rule asks of a document: its own condition, and those in `also`.
pub fn conditions(rule: &mut Reader<'_>, usual: Option<&Template>, allowed: Allowed, scope: &Scope) -> Vec<Condition> {
    let mut all: Vec<Condition> = condition(rule, usual, allowed, scope).into_iter().collect();
    for (name, place, table) in tables(rule, "also").unwrap_or_default() {
        let mut inner = rule.sub(&name, place, table);
        all.extend(condition(&mut inner, usual, allowed, scope));
        inner.end();
    }
    all
}

/// The tests that a condition may have, of which it has one.
const TESTS: [&str; 4] = ["equals", "contains", "any", "exists"];

fn condition(rule: &mut Reader<'_>, usual: Option<&Template>, allowed: Allowed, scope: &Scope) -> Option<Condition> {
    let has_pointer = rule.has("pointer");
    let own = pointer(rule, "pointer", allowed, scope);
    let there: Vec<_> = TESTS.into_iter().filter(|test| rule.has(test)).collect();
    if let [first, others @ ..] = there.as_slice() {
        for other in others {
            rule.take(other);
            rule.report(other, None, format!("is there beside {first}"), "put one of the two into also = { .. }");
        }
    }
    let test = match there.first().copied() {
        Some("equals") => equals(rule, allowed, scope)?,
        Some("contains") => {
            let node = rule.take("contains")?;
            let Some(text) = scalar(&node).filter(|text| !text.is_empty()) else {
                rule.report("contains", Some(&node.place), "is not a text, number or flag", "write \"{audience}\"");
                return None;
            };
            Test::Contains(template(rule, "contains", (&node.place, &text), allowed, scope)?)
        }
        Some("any") => {
            let mut members = Vec::new();
            for (name, (place, text)) in texts_of(rule, "any") {
                check_pointer(rule, "any", &place, &name, Stars::No);
                members.push((name, template(rule, "any", (&place, &text), allowed, scope)?));
            }
            if members.is_empty() {
                rule.report("any", None, "asks for nothing", "write { \"/id\" = \"{audience}\" }");
                return None;
            }
            Test::Any(members)
        }
        Some(_) => Test::Exists(rule.flag("exists", true)),
        None => {
            if has_pointer && !rule.reported("pointer") {
                let remedy = "say what is to be found there: equals, contains, any or exists";
                rule.report("pointer", None, "asks for nothing, so that the rule would fit everything", remedy);
            }
            return None;
        }
    };
    if own.is_none() && usual.is_none() && !rule.reported("pointer") {
        rule.report("pointer", None, "is missing", "say where in the answer: \"/status\"");
    }
    Some(Condition { pointer: own.or_else(|| usual.cloned())?, test })
}

fn equals(rule: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Option<Test> {
    let node = rule.take("equals")?;
    let texts: Option<Vec<_>> = match &node.value {
        Value::List(items) => items.iter().map(scalar).collect(),
        _ => scalar(&node).map(|text| vec![text]),
    };
    let Some(texts) = texts.filter(|texts| !texts.is_empty()) else {
        let remedy = "write \"subscribed\", or a list of such texts";
        rule.report("equals", Some(&node.place), "is not a text, number or flag", remedy);
        return None;
    };
    let texts = texts.iter().map(|text| template(rule, "equals", (&node.place, text), allowed, scope));
    Some(Test::Equals(texts.collect::<Option<_>>()?))
}

/// Reports a rule that comes after one that fits everything. `fits_all` is of each rule in order, with its name.
pub fn check_reached(reader: &mut Reader<'_>, rules: &[(String, bool)]) {
    let before = rules.iter().position(|(_, fits_all)| *fits_all).map(|index| index + 1);
    if let Some((name, _)) = before.and_then(|index| rules.get(index)) {
        let remedy = "put the rule without a condition last";
        reader.report(name, None, "is never reached: the rule before it fits everything", remedy);
    }
}

/// A pointer (RFC 6901), whose places are filled in.
pub fn pointer(reader: &mut Reader<'_>, key: &'static str, allowed: Allowed, scope: &Scope) -> Option<Template> {
    let (text, place) = reader.text(key)?;
    check_pointer(reader, key, &place, &text, Stars::No);
    template(reader, key, (&place, &text), allowed, scope)
}

/// Whether `*` in a pointer is each element of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stars {
    Yes,
    No,
}

/// A pointer, or a list of them; empty if it isn't there.
pub fn pointers(
    reader: &mut Reader<'_>,
    key: &'static str,
    stars: Stars,
    allowed: Allowed,
    scope: &Scope,
) -> Vec<Template> {
    let Some(node) = reader.take(key) else { return Vec::new() };
    let items = match node.value {
        Value::List(items) => items,
        _ => vec![node],
    };
    let mut all = Vec::new();
    for item in items {
        let Value::Text(text) = &item.value else {
            reader.report(
                key,
                Some(&item.place),
                "is not text",
                "write a JSON pointer in double quotes, or a list of them",
            );
            continue;
        };
        check_pointer(reader, key, &item.place, text, stars);
        all.extend(template(reader, key, (&item.place, text), allowed, scope));
    }
    all
}

/// Reports what is no pointer.
pub fn check_pointer(reader: &mut Reader<'_>, key: &str, place: &Place, text: &str, stars: Stars) {
    if stars == Stars::No && text.split('/').any(|part| part == "*") {
        let remedy = "write the element's place, /0; only times look at each of a list";
        reader.report(key, Some(place), "has a * where one isn't known", remedy);
    }
    if !text.is_empty() && !text.starts_with('/') {
        let remedy = "begin it with a slash: \"/data/0/email\"; all of the document is \"\"";
        reader.report(key, Some(place), "is not a JSON pointer", remedy);
    }
    if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
        let remedy = "write \"~0\" for a ~ in a name, and \"~1\" for a slash";
        reader.report(key, Some(place), "has a ~ that stands for nothing", remedy);
    }
}
