//! Retrieve: subscribers, their places on lists, lists, rows; some properties of each, 2,500 a page.

use super::filter::Filter;
use super::xml::Element;
use super::{PARTNER, Unreadable};
use crate::sandbox::marketing_cloud::MarketingCloudSim;
use crate::sandbox::marketing_cloud::world::{Subscriber, World};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use quick_xml::escape::escape;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The most objects in one answer.
const PAGE: usize = 2_500;

/// What was not yet told of answers that were too long, by request.
#[derive(Default)]
pub struct Pages(BTreeMap<String, Vec<String>>);

/// Objects of one type.
struct Table<'a> {
    /// `xsi:type` of each.
    kind: &'static str,
    /// The properties that can be asked for.
    known: Vec<&'a str>,
    rows: Vec<Row<'a>>,
}

/// One object, which tells a property when it is asked for: most objects are looked at by a filter only.
struct Row<'a> {
    value: Box<Value<'a>>,
    /// Elements that are told unasked.
    unasked: Box<dyn Fn() -> String + 'a>,
}

type Value<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl<'a> Row<'a> {
    fn plain(value: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { value: Box::new(value), unasked: Box::new(String::new) }
    }
}

impl MarketingCloudSim {
    pub(super) fn retrieve(&self, message: &Element) -> Result<String, Unreadable> {
        let asked = message.child("RetrieveRequest").ok_or(Unreadable)?;
        let mut world = self.world();
        let (request, found) = match asked.text_of("ContinueRequest") {
            Some(request) => match world.pages.0.remove(request) {
                Some(rest) => (request.to_owned(), rest),
                None => return Ok(answer("Error: The request to be continued was not found", "", &[])),
            },
            None => match self.found(&world, asked)? {
                Ok(found) => (crate::sandbox::new_uuid().to_string(), found),
                Err(error) => return Ok(answer(&format!("Error: {error}"), "", &[])),
            },
        };
        let (page, rest) = found.split_at(found.len().min(PAGE));
        if rest.is_empty() {
            return Ok(answer("OK", &request, page));
        }
        world.pages.0.insert(request.clone(), rest.to_vec());
        Ok(answer("MoreDataAvailable", &request, page))
    }

    /// Everything that is asked for, or what is wrong with it.
    fn found(&self, world: &World, asked: &Element) -> Result<Result<Vec<String>, String>, Unreadable> {
        let object = asked.text_of("ObjectType").ok_or(Unreadable)?;
        let filter = asked.child("Filter").map(Filter::read).transpose()?;
        let properties: Vec<&str> = asked.all("Properties").map(|property| property.text.as_str()).collect();
        let table = match self.table(world, object) {
            Ok(table) => table,
            Err(error) => return Ok(Err(error)),
        };
        let is_unknown = |name: &&str| !table.known.iter().any(|known| known == name);
        let unknown: Vec<&str> = properties.iter().copied().filter(is_unknown).collect();
        if !unknown.is_empty() {
            let (unknown, kind) = (unknown.join(", "), table.kind);
            let told = format!("The Request Property(s) {unknown} do not match with the fields of {kind} retrieve");
            return Ok(Err(told));
        }
        // How these two are told isn't documented.
        if properties.is_empty() {
            return Ok(Err("There are no Request Properties".to_owned()));
        }
        if let Some(unknown) = filter.as_ref().and_then(|filter| filter.properties().into_iter().find(is_unknown)) {
            return Ok(Err(format!("The Filter Property {unknown} is not one of {} retrieve", table.kind)));
        }
        let wanted = |row: &&Row<'_>| filter.as_ref().is_none_or(|filter| filter.holds(&row.value));
        Ok(Ok(table.rows.iter().filter(wanted).map(|row| table.shown(row, &properties)).collect()))
    }

    fn table<'a>(&'a self, world: &'a World, object: &str) -> Result<Table<'a>, String> {
        let extension = object.strip_prefix("DataExtensionObject[").and_then(|rest| rest.strip_suffix(']'));
        if let Some(key) = extension {
            let extension = world.extensions.get(key).ok_or_else(|| format!("Data extension {key} does not exist"))?;
            let known: Vec<&str> = extension.kind.columns.iter().map(String::as_str).collect();
            // A column that was never written is empty.
            let told = |row: &'a BTreeMap<String, String>| {
                Row::plain(|column| Some(row.get(column).cloned().unwrap_or_default()))
            };
            let rows = extension.rows.values().map(told).collect();
            return Ok(Table { kind: "DataExtensionObject", known, rows });
        }
        match object {
            "Subscriber" => Ok(self.subscribers_table(world)),
            "ListSubscriber" => Ok(self.places_table(world)),
            "List" => Ok(lists_table(world)),
            "DataExtensionField" => Ok(columns_table(world)),
            _ => Err(format!(
                "Unable to find a handler for object type: {object}. Object types are case-sensitive, check spelling."
            )),
        }
    }

    fn subscribers_table<'a>(&'a self, world: &'a World) -> Table<'a> {
        let known = vec![
            "ID",
            "SubscriberKey",
            "EmailAddress",
            "Status",
            "UnsubscribedDate",
            "CreatedDate",
            "EmailTypePreference",
            "Client.ID",
            "PartnerKey",
            "ObjectID",
        ];
        let row = |held: &'a Subscriber| {
            let value = |name: &str| match name {
                "ID" => Some(held.id.to_string()),
                "SubscriberKey" => Some(held.key.clone()),
                "EmailAddress" => Some(held.email.clone()),
                "Status" => Some(held.status.name().to_owned()),
                "UnsubscribedDate" => held.unsubscribed.map(local),
                "CreatedDate" => Some(local(held.created)),
                "EmailTypePreference" => Some("HTML".to_owned()),
                "Client.ID" => Some(self.settings().account_id.clone()),
                _ => None,
            };
            let unasked = || {
                let mut unasked = String::new();
                for (name, value) in &held.attributes {
                    let (name, value) = (escape(name.as_str()), escape(value.as_str()));
                    let _ = write!(unasked, "<Attributes><Name>{name}</Name><Value>{value}</Value></Attributes>");
                }
                unasked
            };
            Row { value: Box::new(value), unasked: Box::new(unasked) }
        };
        Table { kind: "Subscriber", known, rows: world.visible().map(row).collect() }
    }

    /// Places on lists, All Subscribers among them.
    fn places_table<'a>(&'a self, world: &'a World) -> Table<'a> {
        let mut known = vec!["ID", "ListID", "SubscriberKey", "Status", "Client.ID", "PartnerKey", "ObjectID"];
        if self.settings().list_dates {
            known.extend(["CreatedDate", "ModifiedDate"]);
        }
        let mut rows = Vec::new();
        for held in world.visible() {
            let everything = (&world.all_subscribers_list, held.status, held.created, held.modified);
            let on_lists = held.lists.iter().map(|(id, place)| (id, place.status, place.created, place.modified));
            for (list, status, created, modified) in std::iter::once(everything).chain(on_lists) {
                rows.push(Row::plain(move |name| match name {
                    "ID" => Some(held.id.to_string()),
                    "ListID" => Some(list.clone()),
                    "SubscriberKey" => Some(held.key.clone()),
                    "Status" => Some(status.name().to_owned()),
                    "Client.ID" => Some(self.settings().account_id.clone()),
                    "CreatedDate" => Some(local(created)),
                    "ModifiedDate" => Some(local(modified)),
                    _ => None,
                }));
            }
        }
        Table { kind: "ListSubscriber", known, rows }
    }
}

fn lists_table(world: &World) -> Table<'_> {
    let everything = (&world.all_subscribers_list, "All Subscribers".to_owned(), "MasterList");
    let others = world.lists.iter().map(|id| (id, format!("List {id}"), "PublicationList"));
    let row = |(id, name, class): (&String, String, &'static str)| {
        let id = id.clone();
        Row::plain(move |property| match property {
            "ID" => Some(id.clone()),
            "ListName" => Some(name.clone()),
            "Type" => Some("Public".to_owned()),
            "ListClassification" => Some(class.to_owned()),
            _ => None,
        })
    };
    let rows = std::iter::once(everything).chain(others).map(row).collect();
    Table { kind: "List", known: vec!["ID", "ListName", "Type", "ListClassification", "PartnerKey"], rows }
}

/// Columns of data extensions.
fn columns_table(world: &World) -> Table<'_> {
    let known = vec!["Name", "CustomerKey", "FieldType", "IsPrimaryKey", "IsRequired", "DataExtension.CustomerKey"];
    let columns = world
        .extensions
        .values()
        .flat_map(|extension| extension.kind.columns.iter().map(move |column| (&extension.kind, column)));
    let row = |(extension, column): (&'_ crate::sandbox::marketing_cloud::DataExtensionSettings, &'_ String)| {
        let (key, name) = (extension.key.clone(), column.clone());
        let is_primary = *column == extension.primary_key;
        Row::plain(move |property| match property {
            "Name" => Some(name.clone()),
            "CustomerKey" => Some(format!("[{key}].[{name}]")),
            "FieldType" => Some(if name == "EmailAddress" { "EmailAddress" } else { "Text" }.to_owned()),
            "IsPrimaryKey" | "IsRequired" => Some(is_primary.to_string()),
            "DataExtension.CustomerKey" => Some(key.clone()),
            _ => None,
        })
    };
    Table { kind: "DataExtensionField", known, rows: columns.map(row).collect() }
}

impl Table<'_> {
    fn shown(&self, row: &Row<'_>, properties: &[&str]) -> String {
        let mut text =
            format!("<Results xsi:type=\"{}\"><PartnerKey xsi:nil=\"true\" /><ObjectID xsi:nil=\"true\" />", self.kind);
        let told = properties.iter().filter_map(|&name| Some((name, escape((row.value)(name)?))));
        let is_row = self.kind == "DataExtensionObject";
        if is_row {
            text.push_str("<Type>DataExtensionObject</Type><Properties>");
        }
        for (name, value) in told {
            let _ = match name.split_once('.') {
                _ if is_row => {
                    let name = escape(name);
                    write!(text, "<Property><Name>{name}</Name><Value>{value}</Value></Property>")
                }
                Some((outer, inner)) => write!(text, "<{outer}><{inner}>{value}</{inner}></{outer}>"),
                None => write!(text, "<{name}>{value}</{name}>"),
            };
        }
        if is_row {
            text.push_str("</Properties>");
        }
        text + &(row.unasked)() + "</Results>"
    }
}

fn answer(status: &str, request: &str, found: &[String]) -> String {
    let request = if request.is_empty() { crate::sandbox::new_uuid().to_string() } else { request.to_owned() };
    format!(
        "<RetrieveResponseMsg xmlns=\"{PARTNER}\"><OverallStatus>{}</OverallStatus><RequestID>{request}</RequestID>\
         {}</RetrieveResponseMsg>",
        escape(status),
        found.concat()
    )
}

/// A time as the platform tells it: its local one, UTC-6 all year, without saying so. (Inferred from samples.)
fn local(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(-6));
    zone.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}
