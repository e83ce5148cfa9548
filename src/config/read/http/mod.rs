//! `[http.NAME]`: a connection to an ESP that is described by data, its own or shipped, and what its routes may say.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `call` | calls, and what their answers mean |
//! | `shape` | what records look like, how they are read, one by one and as a whole |
//! | `callback` | what comes in, and how it is verified |

mod call;
mod callback;
mod shape;

use super::route::Rules;
use super::{Defaults, common};
use crate::config::http::{
    Allowed, AudienceIs, Happening, Http, HttpRules, Missing, Operations, Source, Template, shown,
};
use crate::config::problem::{Place, Problem};
use crate::config::reader::Reader;
use crate::config::shipped;
use crate::config::tree::{self, Node, Table, Value};
use crate::domain::{ConnectionName, OptOutReason, RemovalKind};
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// What only a description says.
const DESCRIPTION: [&str; 20] = [
    "title",
    "headers",
    "basic_auth",
    "one_record_an_address",
    "audience",
    "declare",
    "read",
    "subscribe",
    "resubscribe",
    "update",
    "unsubscribe",
    "delete",
    "suppress",
    "discard",
    "rules",
    "list",
    "probe",
    "callback",
    "from",
    "about",
];
/// What a description may say, and a connection says better.
const PRESETS: [&str; 6] =
    ["base_url", "deadline", "attempt_timeout", "max_concurrent_calls", "max_calls_per_minute", "content_types"];

/// What templates of one connection may name besides the person.
#[derive(Clone)]
pub struct Scope {
    pub settings: BTreeMap<String, String>,
    pub secrets: BTreeSet<String>,
    /// What the calls of the same operation keep that come before.
    pub kept: BTreeSet<String>,
}

/// What a connection gives, as far as its description asks.
struct Given {
    scope: Scope,
    secrets: BTreeMap<String, SecretString>,
}

/// Reads one connection.
pub fn read(reader: &mut Reader<'_>, name: ConnectionName) -> Option<Http> {
    let allow_http = reader.flag("allow_http", false);
    let provider = provider(reader).ok()?;
    let given = given(reader);
    let scope = &given.scope;
    let common = common(reader, Defaults::ORDINARY);
    let title = reader.text("title").map_or_else(|| name.as_str().to_owned(), |(title, _)| title);
    // For people who read the description only.
    let about = reader.text("about").map(|(about, _)| about).unwrap_or_default();
    reader.take("from");
    let base_url = base_url(reader, allow_http, scope);
    let in_head = Allowed { secrets: true, ..Allowed::default() };
    let headers = call::headers(reader, in_head, scope);
    let basic_auth = basic_auth(reader, in_head, scope);
    let reads = shape::reads(reader, scope);
    let lists = shape::lists(reader, scope, &reads);
    let operations = operations(reader, scope);
    let moves_address = operations.as_ref().is_some_and(|(_, moves)| *moves);
    let probes = call::probes(reader, scope);
    let rules = rules_table(reader, moves_address);
    let callback = callback::read(reader, scope);
    let callback_secrets = callback::secrets(reader, callback.as_ref());
    if reads.is_empty() && !reader.reported_below("read") {
        reader.missing("read", "say how somebody is read: [[http.NAME.read]]; see docs/any-esp.md");
    }
    Some(Http {
        name,
        common,
        title,
        about,
        provider,
        base_url: base_url?,
        headers,
        basic_auth,
        secrets: given.secrets,
        callback_secrets: callback_secrets?,
        reads,
        lists,
        probes,
        operations: operations?.0,
        rules,
        callback,
        audiences: BTreeSet::new(),
    })
}

/// A description is named that there isn't; it is reported.
struct NotShipped;

/// The shipped description, if one is named, is put where its own tables would stand.
fn provider(reader: &mut Reader<'_>) -> Result<Option<String>, NotShipped> {
    let Some((name, place)) = reader.text("provider") else { return Ok(None) };
    let Some(text) = shipped::description(&name) else {
        let known: Vec<_> = shipped::names().map(|name| format!("\"{name}\"")).collect();
        let remedy = format!("write {}, or describe it yourself; see docs/any-esp.md", known.join(", "));
        reader.report("provider", Some(&place), "is no provider that this version ships", remedy);
        // What would be said of the rest makes no sense.
        for key in DESCRIPTION.into_iter().chain(PRESETS).chain([
            "settings",
            "secrets",
            "callback_secrets",
            "clocks_may_differ",
            "on_deadline",
        ]) {
            reader.take(key);
        }
        return Err(NotShipped);
    };
    for key in DESCRIPTION {
        if let Some(own) = reader.take(key) {
            let remedy = "leave it out; or leave provider out, and describe all of it yourself: copy the shipped one";
            reader.report(key, Some(&own.place), format!("is said by the provider \"{name}\" already"), remedy);
        }
    }
    let mut problems: Vec<Problem> = Vec::new();
    let mut shipped = tree::parse(text, &mut problems).unwrap_or_default();
    for key in DESCRIPTION {
        if let Some(node) = shipped.remove(key) {
            reader.put_back(key, node);
        }
    }
    for key in PRESETS.into_iter().filter(|key| !reader.has(key)).collect::<Vec<_>>() {
        if let Some(node) = shipped.remove(key) {
            reader.put_back(key, node);
        }
    }
    // A preset that is left is one that the connection says better.
    for (key, node) in shipped.into_iter().filter(|(key, _)| !PRESETS.contains(&key.as_str())) {
        reader.report(&key, Some(&node.place), "is not a key that a description has", "this is a bug of the gateway");
    }
    Ok(Some(name))
}

/// Settings and secrets, those that the description declares; without a declaration, those that are there.
///
/// What is wrong is reported, and something right stands in for it: what the rest says is read as well, and no more is said of
/// it than is wrong there.
fn given(reader: &mut Reader<'_>) -> Given {
    const STANDS_IN: &str = "0";
    let declared = reader.table("declare").map(|(table, place)| {
        let mut declare = reader.sub("declare", place, table);
        let wanted = (texts_of(&mut declare, "settings"), texts_of(&mut declare, "secrets"));
        let numbers = declare.texts("numbers").map(|(names, _)| names).unwrap_or_default();
        declare.end();
        (wanted, numbers)
    });
    let is_number = |name: &String| declared.as_ref().is_some_and(|(_, numbers)| numbers.contains(name));
    let mut settings = BTreeMap::new();
    for (name, (place, mut value)) in texts_of(reader, "settings") {
        if value.is_empty() || value.contains(|c: char| c.is_control() || c.is_whitespace() || "/?#{}\\@:".contains(c))
        {
            let remedy = "use letters, digits, dots, - and _";
            reader.report(&format!("settings.{name}"), Some(&place), "has characters that a URL can't", remedy);
            STANDS_IN.clone_into(&mut value);
        } else if is_number(&name) && !value.bytes().all(|c| c.is_ascii_digit()) {
            reader.report(&format!("settings.{name}"), Some(&place), "is not a number", "write its digits");
            STANDS_IN.clone_into(&mut value);
        }
        settings.insert(name, value);
    }
    let secrets = reader.named_secrets("secrets");
    for (name, place, secret) in &secrets {
        if secret.expose_secret().contains(char::is_control) {
            let remedy = "copy it again: it is one line";
            reader.report(&format!("secrets.{name}"), Some(place), "has a line break in it", remedy);
        }
    }
    let mut secrets: BTreeMap<_, _> = secrets.into_iter().map(|(name, _, secret)| (name, secret)).collect();
    let mut names: BTreeSet<String> = secrets.keys().cloned().collect();
    if let Some(((wanted_settings, wanted_secrets), _)) = declared {
        for (name, (_, mut default)) in wanted_settings.clone() {
            if settings.contains_key(&name) {
                continue;
            }
            if default.is_empty() {
                let (key, remedy) = (format!("settings.{name}"), format!("add settings = {{ {name} = \"..\" }}"));
                if !reader.reported(&key) {
                    reader.report(&key, None, "is missing", remedy);
                }
                STANDS_IN.clone_into(&mut default);
            }
            settings.insert(name, default);
        }
        for (name, (_, what)) in &wanted_secrets {
            let key = format!("secrets.{name}");
            if !secrets.contains_key(name) && !reader.reported(&key) {
                let remedy = format!("add secrets = {{ {name} = {{ env = \"NAME\" }} }}: {what}");
                reader.report(&key, None, "is missing", remedy);
            }
        }
        let unknown =
            settings.keys().filter(|name| !wanted_settings.contains_key(*name)).map(|name| ("settings", name));
        let unknown: Vec<_> = unknown
            .chain(secrets.keys().filter(|name| !wanted_secrets.contains_key(*name)).map(|name| ("secrets", name)))
            .map(|(table, name)| format!("{table}.{name}"))
            .collect();
        for key in unknown {
            reader.report(&key, None, "is not declared by the description", "leave it out");
        }
        secrets.retain(|name, _| wanted_secrets.contains_key(name));
        names = wanted_secrets.into_keys().collect();
    }
    Given { scope: Scope { settings, secrets: names, kept: BTreeSet::new() }, secrets }
}

/// The texts, numbers and flags of a table whose keys are free.
pub fn texts_of(reader: &mut Reader<'_>, key: &'static str) -> BTreeMap<String, (Place, String)> {
    let Some((table, _)) = reader.table(key) else { return BTreeMap::new() };
    let mut texts = BTreeMap::new();
    for (name, node) in table {
        match scalar(&node) {
            Some(text) => {
                texts.insert(name, (node.place, text));
            }
            None => {
                reader.report(&format!("{key}.{name}"), Some(&node.place), "is not text", "put it in double quotes");
            }
        }
    }
    texts
}

/// A text, number or flag as text.
pub fn scalar(node: &Node) -> Option<String> {
    match (&node.text, &node.value) {
        (Some(text), value) if !matches!(value, Value::Table(_) | Value::List(_)) => Some(text.clone()),
        (_, Value::Text(text)) => Some(text.clone()),
        (_, Value::Integer(number)) => Some(number.to_string()),
        (_, Value::Flag(flag)) => Some(flag.to_string()),
        _ => None,
    }
}

/// A template, checked.
pub fn template(
    reader: &mut Reader<'_>,
    key: &str,
    (place, text): (&Place, &str),
    allowed: Allowed,
    scope: &Scope,
) -> Option<Template> {
    let parsed = Template::parse(text, allowed, &scope.settings).and_then(|template| {
        let nowhere = template.holes().find_map(|hole| match &hole.source {
            Source::Secret(name) if !scope.secrets.contains(name) => {
                Some(format!("has {}, which isn't among the secrets", shown("secret:", name)))
            }
            Source::Kept(name) if !scope.kept.contains(name) => {
                Some(format!("has {}, which no call before this one keeps", shown("kept:", name)))
            }
            _ => None,
        });
        nowhere.map_or(Ok(template), Err)
    });
    match parsed {
        Ok(template) => Some(template),
        Err(what) => {
            reader.report(key, Some(place), what, "see the places and filters that there are in docs/any-esp.md");
            None
        }
    }
}

/// A text of this table as a template.
pub fn template_at(reader: &mut Reader<'_>, key: &'static str, allowed: Allowed, scope: &Scope) -> Option<Template> {
    let (text, place) = reader.text(key)?;
    template(reader, key, (&place, &text), allowed, scope)
}

/// One table or a list of them, each with its name in messages.
pub fn tables(reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<(String, Place, Table)>> {
    let node = reader.take(key)?;
    match node.value {
        Value::Table(table) => Some(vec![(key.to_owned(), node.place, table)]),
        Value::List(items) => {
            let mut all = Vec::new();
            for (index, item) in items.into_iter().enumerate() {
                let name = format!("{key}[{index}]");
                match item.value {
                    Value::Table(table) => all.push((name, item.place, table)),
                    _ => reader.report(&name, Some(&item.place), "is not a table", "write { .. }"),
                }
            }
            Some(all)
        }
        _ => {
            reader.report(key, Some(&node.place), "is neither a table nor a list of tables", format!("write [{key}]"));
            None
        }
    }
}

fn base_url(reader: &mut Reader<'_>, allow_http: bool, scope: &Scope) -> Option<Url> {
    let remedy = "where the API is: \"https://api.example.com/v1\"";
    let (text, place) = reader.required_text("base_url", remedy)?;
    let parsed = template(reader, "base_url", (&place, &text), Allowed::default(), scope)?;
    let text = parsed.as_literal().unwrap_or_default().trim_end_matches('/').to_owned();
    reader.put_back("base_url", Node { place, value: Value::Text(text), text: None });
    reader.base_url("base_url", allow_http)
}

fn basic_auth(reader: &mut Reader<'_>, allowed: Allowed, scope: &Scope) -> Option<(Template, Template)> {
    let (texts, place) = reader.texts("basic_auth")?;
    let [user, password] = texts.as_slice() else {
        reader.report("basic_auth", Some(&place), "is not user and password", "write [\"user\", \"{secret:NAME}\"]");
        return None;
    };
    let user = template(reader, "basic_auth", (&place, user), allowed, scope);
    let password = template(reader, "basic_auth", (&place, password), allowed, scope);
    user.zip(password)
}

/// What is known when somebody is written.
const PERSON: Allowed = Allowed {
    email: true,
    person: true,
    record: false,
    uid: true,
    audience: true,
    secrets: false,
    kept: true,
    page: false,
    objects: false,
};
/// And when it is over a record.
const PERSON_OVER: Allowed = Allowed { record: true, ..PERSON };
/// What is known when a record goes.
const RECORD: Allowed = Allowed { person: false, uid: false, ..PERSON_OVER };

/// How it is written to, and whether an update can change an address.
fn operations(reader: &mut Reader<'_>, scope: &Scope) -> Option<(Operations, bool)> {
    let mut moves_address = false;
    let mut calls =
        |reader: &mut Reader<'_>, key, allowed| call::operation(reader, key, allowed, scope, &mut moves_address);
    let subscribe = calls(reader, "subscribe", PERSON);
    let resubscribe = calls(reader, "resubscribe", PERSON_OVER);
    let update = calls(reader, "update", PERSON_OVER);
    let unsubscribe = calls(reader, "unsubscribe", RECORD);
    let delete = calls(reader, "delete", RECORD);
    let suppress = calls(reader, "suppress", RECORD);
    let discard = calls(reader, "discard", RECORD);
    for (key, there) in [("subscribe", subscribe.is_some()), ("unsubscribe", unsubscribe.is_some())] {
        if !there && !reader.reported_below(key) {
            reader.report(key, None, "is missing", "say by which call; see docs/any-esp.md");
        }
    }
    let operations =
        Operations { subscribe: subscribe?, resubscribe, update, unsubscribe: unsubscribe?, delete, suppress, discard };
    Some((operations, moves_address))
}

fn rules_table(reader: &mut Reader<'_>, update_moves_address: bool) -> HttpRules {
    let one_record_an_address = reader.flag("one_record_an_address", true);
    let audiences = [("any", AudienceIs::Any), ("digits", AudienceIs::Digits), ("hex", AudienceIs::Hex)];
    let audience = reader.choice("audience", &audiences).unwrap_or(AudienceIs::Any);
    let (table, place) = reader.table("rules").unwrap_or((Table::new(), Place::File));
    let mut rules = reader.sub("rules", place, table);
    let missing = [("empty", Missing::Empty), ("null", Missing::Null), ("omit", Missing::Omit)];
    let two = |no: &'static str, yes: &'static str| [(no, false), (yes, true)];
    let read = HttpRules {
        one_record_an_address,
        // What isn't said errs on the opt-out's side.
        subscribe_may_lift_opt_out: rules.flag("subscribe_may_lift_opt_out", true),
        update_may_opt_in: rules.flag("update_may_opt_in", true),
        update_moves_address,
        queued: rules.flag("queued", false),
        uid_field: rules.text("uid_field").map(|(name, _)| name),
        missing: rules.choice("missing", &missing).unwrap_or(Missing::Empty),
        flags_as_text: rules.choice("flags", &two("bool", "text")).unwrap_or(false),
        many_joined: rules.choice("many", &two("list", "joined")).unwrap_or(false),
        audience,
        own_fields: names(&mut rules, "own_fields"),
        reserved_fields: names(&mut rules, "reserved_fields"),
    };
    rules.end();
    read
}

fn names(rules: &mut Reader<'_>, key: &'static str) -> BTreeSet<String> {
    rules.texts(key).map(|(names, _)| names.into_iter().collect()).unwrap_or_default()
}

/// What routes to a connection may say.
pub fn rules(connection: Option<&Http>) -> Rules {
    let operations = connection.map(|connection| &connection.operations);
    let deletes = operations.is_none_or(|operations| operations.delete.is_some());
    let suppresses = operations.is_none_or(|operations| operations.suppress.is_some());
    let tells = |happened: fn(Happening) -> bool| {
        let callback = connection.map(|connection| connection.callback.as_ref());
        callback.is_none_or(|callback| {
            callback.is_some_and(|callback| callback.kinds.iter().any(|kind| happened(kind.means)))
        })
    };
    Rules {
        on_inactive: if deletes { RemovalKind::Delete } else { RemovalKind::Unsubscribe },
        no_delete: (!deletes)
            .then_some(("\"delete\" needs a call that the description lacks", "choose \"unsubscribe\"")),
        no_suppress: (!suppresses).then_some((
            "\"suppress\" needs a call that the description lacks",
            "choose \"delete\" or \"unsubscribe\"",
        )),
        tells_opt_ins: tells(|means| means == Happening::OptedIn),
        tells_bounces: tells(|means| means == Happening::OptedOut(OptOutReason::Bounced)),
        needs_field: None,
        reserved_fields: connection.map(|connection| reserved(&connection.rules)).unwrap_or_default(),
        check_audience: match connection.map(|connection| connection.rules.audience) {
            Some(AudienceIs::Digits) => |id| {
                let is_it = !id.is_empty() && id.bytes().all(|c| c.is_ascii_digit()) && !id.starts_with('0');
                is_it.then_some(()).ok_or("write the id, which has digits only, without zeros before it")
            },
            Some(AudienceIs::Hex) => |id| {
                let is_it = !id.is_empty() && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
                is_it.then_some(()).ok_or("write the id, which has digits and the letters a to f only")
            },
            _ => |_| Ok(()),
        },
    }
}

/// What the gateway writes itself, and what the description keeps from profiles.
fn reserved(rules: &HttpRules) -> BTreeSet<String> {
    rules.reserved_fields.iter().chain(&rules.uid_field).cloned().collect()
}

/// Whether a callback token can end a URL, and is no guess: 16 characters from 64 are 96 bits. The advice is to use more.
pub fn is_token(token: &SecretString) -> bool {
    let token = token.expose_secret();
    token.len() >= 16 && token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
