//! `[[route]]`.

use crate::config::fields;
use crate::config::model::{FieldSource, Route};
use crate::config::reader::Reader;
use crate::config::tree::{Node, Table, Value};
use crate::domain::{Audience, ConnectionName, RemovalKind, SubscriptionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What routes to one ESP connection may say.
pub struct Rules {
    /// What becomes of somebody whose account is gone, unless the route says otherwise.
    pub on_inactive: RemovalKind,
    /// Why `on_inactive = "delete"` can't be, and what to do.
    pub no_delete: Option<(&'static str, &'static str)>,
    /// Why `on_inactive = "suppress"` can't be, and what to do.
    pub no_suppress: Option<(&'static str, &'static str)>,
    /// Whether the ESP tells of opt-ins.
    pub tells_opt_ins: bool,
    /// Whether the ESP tells of bounces.
    pub tells_bounces: bool,
    /// A field that every route must map.
    pub needs_field: Option<String>,
    /// Fields that none may map.
    pub reserved_fields: BTreeSet<String>,
    /// Whether a text names an audience there; if not, what to write.
    pub check_audience: fn(&str) -> Result<(), &'static str>,
}

/// Reads all of them; `None` if one can't be used.
pub fn all(
    root: &mut Reader<'_>,
    gigya: &[ConnectionName],
    esps: &BTreeMap<ConnectionName, Rules>,
) -> Option<Vec<Arc<Route>>> {
    let items = match root.take("route") {
        Some(Node { value: Value::List(items), .. }) if !items.is_empty() => items,
        Some(Node { value: Value::Table(_), place, .. }) => {
            root.report("route", Some(&place), "is one table", "write [[route]], with two brackets");
            return None;
        }
        _ => {
            root.missing("route", "add a [[route]] that says which subscription goes to which audience");
            return None;
        }
    };
    let mut routes: Vec<Arc<Route>> = Vec::new();
    let mut complete = true;
    for (index, item) in items.into_iter().enumerate() {
        let name = format!("route[{index}]");
        let Value::Table(table) = item.value else {
            root.report(&name, Some(&item.place), "is not a table", "write [[route]]");
            continue;
        };
        let mut reader = root.sub(&name, item.place, table);
        let route = one(&mut reader, gigya, esps);
        if let Some(route) = &route
            && routes.iter().any(|other| other.label() == route.label())
        {
            let what = format!("is there twice: {}", route.label());
            reader.report("", None, what, "keep one of the two");
        }
        reader.end();
        complete &= route.is_some();
        routes.extend(route.map(Arc::new));
    }
    complete.then_some(routes)
}

fn one(reader: &mut Reader<'_>, gigya: &[ConnectionName], esps: &BTreeMap<ConnectionName, Rules>) -> Option<Route> {
    let subscription = end_of_route(reader, "subscription", "main/newsletter", gigya);
    let names: Vec<_> = esps.keys().cloned().collect();
    let audience = end_of_route(reader, "audience", "news/LIST-ID", &names);
    let rules = audience.as_ref().and_then(|(esp, _)| esps.get(esp));
    let kinds = [
        ("delete", RemovalKind::Delete),
        ("unsubscribe", RemovalKind::Unsubscribe),
        ("suppress", RemovalKind::Suppress),
    ];
    let on_inactive = reader.choice("on_inactive", &kinds);
    let double_opt_in = reader.flag("double_opt_in", true);
    let accept_opt_ins = reader.flag("accept_opt_ins", false);
    let create_lite_accounts = reader.flag("create_lite_accounts", false);
    if create_lite_accounts && !accept_opt_ins {
        let remedy = "set accept_opt_ins = true as well, or leave create_lite_accounts out";
        reader.report("create_lite_accounts", None, "does nothing without accept_opt_ins", remedy);
    }
    let confirmed_at_esp = reader.flag("confirmed_at_esp", false);
    if confirmed_at_esp && !accept_opt_ins {
        let remedy = "set accept_opt_ins = true as well, or leave confirmed_at_esp out";
        reader.report("confirmed_at_esp", None, "does nothing without accept_opt_ins", remedy);
    }
    let forward_bounces = reader.flag("forward_bounces", false);
    let fields = mapping(reader);
    let ((gigya, subscription), (esp, audience), rules) = (subscription?, audience?, rules?);
    let route = Route {
        gigya,
        subscription: SubscriptionId::new(&subscription),
        esp,
        audience: Audience::new(&audience),
        on_inactive: on_inactive.unwrap_or(rules.on_inactive),
        double_opt_in,
        accept_opt_ins,
        confirmed_at_esp,
        create_lite_accounts,
        forward_bounces,
        fields,
    };
    hold_to(reader, rules, &route);
    Some(route)
}

/// Reports what the route's ESP can't do.
fn hold_to(reader: &mut Reader<'_>, rules: &Rules, route: &Route) {
    if let Err(what) = (rules.check_audience)(route.audience.as_str()) {
        reader.report("audience", None, "does not name an audience of this ESP", what);
    }
    if let Some((what, remedy)) = rules.no_delete.filter(|_| route.on_inactive == RemovalKind::Delete) {
        reader.report("on_inactive", None, what, remedy);
    }
    if let Some((what, remedy)) = rules.no_suppress.filter(|_| route.on_inactive == RemovalKind::Suppress) {
        reader.report("on_inactive", None, what, remedy);
    }
    if route.accept_opt_ins && !rules.tells_opt_ins {
        reader.report("accept_opt_ins", None, "can't work: this ESP tells of no opt-ins", "leave it out");
    }
    if route.forward_bounces && !rules.tells_bounces {
        reader.report("forward_bounces", None, "can't work: this ESP tells of no bounces", "leave it out");
    }
    if let Some(field) = rules.needs_field.as_ref().filter(|field| !route.fields.contains_key(*field)) {
        let what = format!("does not map {field}, which is the connection's subscriber_key");
        reader.report("fields", None, what, format!("add {field} = \"data.YOUR_KEY\""));
    }
    for name in route.fields.keys().filter(|name| rules.reserved_fields.contains(*name)) {
        let what = "says who somebody is there, or whether they may be mailed";
        reader.report(&format!("fields.{name}"), None, what, "remove it: the gateway writes it, or nobody");
    }
}

/// `connection/what`: what before the first slash must be a connection that is there.
fn end_of_route(
    reader: &mut Reader<'_>,
    key: &'static str,
    example: &str,
    known: &[ConnectionName],
) -> Option<(ConnectionName, String)> {
    let (text, place) = reader.required_text(key, &format!("write \"{example}\""))?;
    let Some((connection, what)) = text.split_once('/').filter(|(_, what)| !what.trim().is_empty()) else {
        reader.report(
            key,
            Some(&place),
            "does not name a connection and what is there",
            format!("write \"{example}\""),
        );
        return None;
    };
    let Some(found) = known.iter().find(|known| known.as_str() == connection) else {
        let names: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
        let remedy = match names.as_slice() {
            [] => "configure the connection first".to_owned(),
            names => format!("configured are {}", names.join(", ")),
        };
        reader.report(key, Some(&place), format!("names the connection \"{connection}\", which is not there"), remedy);
        return None;
    };
    Some((found.clone(), what.to_owned()))
}

fn mapping(reader: &mut Reader<'_>) -> BTreeMap<String, FieldSource> {
    let Some((table, place)) = reader.table("fields") else { return BTreeMap::new() };
    let mut fields = reader.sub("fields", place, Table::new());
    let mut read = BTreeMap::new();
    for (name, node) in table {
        let source = match &node.value {
            Value::Text(text) => fields::parse(text),
            _ => Err("is not text"),
        };
        match source {
            Ok(source) => {
                read.insert(name, source);
            }
            Err(what) => {
                let remedy = "write a path such as \"profile.firstName\", a text such as \"=Yes\", \
                              or a mix such as \"{profile.firstName} {profile.lastName}\"";
                fields.report(&name, Some(&node.place), what, remedy);
            }
        }
    }
    read
}
