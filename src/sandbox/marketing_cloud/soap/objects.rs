//! The objects that a Retrieve can ask for, and the properties that they tell.

use super::filter::Filter;
use crate::sandbox::marketing_cloud::rows::{DataExtension, Row};
use crate::sandbox::marketing_cloud::world::{Membership, Subscriber, World};
use crate::sandbox::marketing_cloud::{DataExtensionSettings, MarketingCloudSettings};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use quick_xml::escape::escape;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

/// A type of objects.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    Subscriber,
    /// Places on lists, All Subscribers among them.
    ListSubscriber,
    List,
    /// Columns of data extensions.
    Column,
    /// Rows of one.
    Rows(&'a str, &'a DataExtension),
}

/// An object.
#[derive(Clone, Copy)]
pub enum Object<'a> {
    Subscriber(&'a Subscriber),
    /// A place on a list, or, without one, on All Subscribers.
    Place(&'a Subscriber, Option<(&'a Arc<str>, &'a Membership)>),
    List(&'a str, &'static str),
    Column(&'a DataExtensionSettings, &'a str),
    Row(&'a DataExtension, &'a Arc<str>, &'a Row),
}

/// How an object is found again.
#[derive(Clone)]
pub enum Name {
    Subscriber(u64),
    Place(u64, Option<Arc<str>>),
    Row {
        extension: Arc<str>,
        key: Arc<str>,
    },
    /// One of which there are never many.
    Few,
}

impl<'a> Kind<'a> {
    pub fn named(world: &'a World, object: &str) -> Result<Self, String> {
        let extension = object.strip_prefix("DataExtensionObject[").and_then(|rest| rest.strip_suffix(']'));
        if let Some(key) = extension {
            let found = world.extensions.get_key_value(key);
            let (key, extension) = found.ok_or_else(|| format!("Data extension {key} does not exist"))?;
            return Ok(Self::Rows(key, extension));
        }
        match object {
            "Subscriber" => Ok(Self::Subscriber),
            "ListSubscriber" => Ok(Self::ListSubscriber),
            "List" => Ok(Self::List),
            "DataExtensionField" => Ok(Self::Column),
            _ => Err(format!(
                "Unable to find a handler for object type: {object}. Object types are case-sensitive, check spelling."
            )),
        }
    }

    /// `xsi:type` of each.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscriber => "Subscriber",
            Self::ListSubscriber => "ListSubscriber",
            Self::List => "List",
            Self::Column => "DataExtensionField",
            Self::Rows(..) => "DataExtensionObject",
        }
    }

    /// The properties that can be asked for.
    pub fn known(self, settings: &MarketingCloudSettings) -> Vec<&'a str> {
        match self {
            Self::Subscriber => vec![
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
            ],
            Self::ListSubscriber => {
                let mut known = vec!["ID", "ListID", "SubscriberKey", "Status", "Client.ID", "PartnerKey", "ObjectID"];
                if settings.list_dates {
                    known.extend(["CreatedDate", "ModifiedDate"]);
                }
                known
            }
            Self::List => vec!["ID", "ListName", "Type", "ListClassification", "PartnerKey"],
            Self::Column => {
                vec!["Name", "CustomerKey", "FieldType", "IsPrimaryKey", "IsRequired", "DataExtension.CustomerKey"]
            }
            Self::Rows(_, extension) => extension.kind.columns.iter().map(String::as_str).collect(),
        }
    }

    /// All objects that a filter lets through, and no more of the others than need be.
    pub fn all(self, world: &'a World, filter: Option<&Filter>) -> Vec<Object<'a>> {
        let only = |property: &str| filter.and_then(|filter| filter.only(property));
        match self {
            Self::Subscriber => people(world, filter).into_iter().map(Object::Subscriber).collect(),
            Self::ListSubscriber => people(world, filter).into_iter().flat_map(places).collect(),
            Self::List => {
                let everything = (&world.all_subscribers_list, "MasterList");
                let others = world.lists.iter().map(|id| (id, "PublicationList"));
                std::iter::once(everything).chain(others).map(|(id, class)| Object::List(id, class)).collect()
            }
            Self::Column => {
                let kinds = world.extensions.values().map(|extension| &extension.kind);
                kinds.flat_map(|kind| kind.columns.iter().map(move |name| Object::Column(kind, name))).collect()
            }
            Self::Rows(_, extension) => match only(&extension.kind.primary_key) {
                Some(keys) => {
                    let held = keys.into_iter().filter_map(|key| extension.entry(key));
                    held.map(|(key, row)| Object::Row(extension, key, row)).collect()
                }
                None => extension.starting_at(0).map(|(key, row)| Object::Row(extension, key, row)).collect(),
            },
        }
    }
}

/// The subscribers that a filter may let through, in the order in which they came.
fn people<'a>(world: &'a World, filter: Option<&Filter>) -> Vec<&'a Subscriber> {
    let only = |property: &str| filter.and_then(|filter| filter.only(property));
    let mut found: Vec<_> = if let Some(keys) = only("SubscriberKey") {
        keys.into_iter().filter_map(|key| world.find(Some(key), None)).collect()
    } else if let Some(addresses) = only("EmailAddress") {
        addresses.into_iter().flat_map(|address| world.visible_at(address)).collect()
    } else if let Some(ids) = only("ID") {
        ids.into_iter().filter_map(|id| world.find(None, Some(id.parse().ok()?))).collect()
    } else {
        return world.visible().collect();
    };
    found.sort_by_key(|held| held.id);
    found.dedup_by_key(|held| held.id);
    found
}

fn places(held: &Subscriber) -> impl Iterator<Item = Object<'_>> {
    let on_lists = held.lists.iter().map(|(list, place)| Some((list, place)));
    std::iter::once(None).chain(on_lists).map(|place| Object::Place(held, place))
}

impl<'a> Object<'a> {
    pub fn name(self, kind: Kind<'_>) -> Name {
        match (self, kind) {
            (Self::Subscriber(held), _) => Name::Subscriber(held.id),
            (Self::Place(held, place), _) => Name::Place(held.id, place.map(|(list, _)| Arc::clone(list))),
            (Self::Row(_, key, _), Kind::Rows(extension, _)) => {
                Name::Row { extension: extension.into(), key: Arc::clone(key) }
            }
            _ => Name::Few,
        }
    }

    /// An object by its name. None if it is gone.
    pub fn named(world: &'a World, name: &Name) -> Option<Self> {
        match name {
            Name::Subscriber(id) => Some(Self::Subscriber(world.find(None, Some(*id))?)),
            Name::Place(id, None) => Some(Self::Place(world.find(None, Some(*id))?, None)),
            Name::Place(id, Some(wanted)) => {
                let held = world.find(None, Some(*id))?;
                let place = held.lists.iter().find(|(list, _)| list == wanted)?;
                Some(Self::Place(held, Some((&place.0, &place.1))))
            }
            Name::Row { extension, key } => {
                let extension = world.extensions.get(&**extension)?;
                let (key, row) = extension.entry(key)?;
                Some(Self::Row(extension, key, row))
            }
            Name::Few => None,
        }
    }

    /// What a property says; none if it has no value.
    pub fn value(self, world: &'a World, settings: &'a MarketingCloudSettings, name: &str) -> Option<Cow<'a, str>> {
        let text = |text: &'a str| Some(Cow::Borrowed(text));
        let owned = |text: String| Some(Cow::Owned(text));
        match self {
            Self::Subscriber(held) => match name {
                "ID" => owned(held.id.to_string()),
                "SubscriberKey" => text(&held.key),
                "EmailAddress" => text(&held.email),
                "Status" => text(held.status.name()),
                "UnsubscribedDate" => held.unsubscribed.map(|at| Cow::Owned(local(at))),
                "CreatedDate" => owned(local(held.created)),
                "EmailTypePreference" => text("HTML"),
                "Client.ID" => text(&settings.account_id),
                _ => None,
            },
            Self::Place(held, place) => {
                let on_all = Membership { status: held.status, created: held.created, modified: held.modified };
                let at = place.map_or(on_all, |(_, place)| *place);
                match name {
                    "ID" => owned(held.id.to_string()),
                    "ListID" => text(place.map_or(world.all_subscribers_list.as_str(), |(list, _)| list)),
                    "SubscriberKey" => text(&held.key),
                    "Status" => text(at.status.name()),
                    "Client.ID" => text(&settings.account_id),
                    "CreatedDate" => owned(local(at.created)),
                    "ModifiedDate" => owned(local(at.modified)),
                    _ => None,
                }
            }
            Self::List(id, class) => match name {
                "ID" => text(id),
                "ListName" if class == "MasterList" => text("All Subscribers"),
                "ListName" => owned(format!("List {id}")),
                "Type" => text("Public"),
                "ListClassification" => text(class),
                _ => None,
            },
            Self::Column(extension, column) => match name {
                "Name" => text(column),
                "CustomerKey" => owned(format!("[{}].[{column}]", extension.key)),
                "FieldType" => text(if column == "EmailAddress" { "EmailAddress" } else { "Text" }),
                "IsPrimaryKey" | "IsRequired" => owned((column == extension.primary_key).to_string()),
                "DataExtension.CustomerKey" => text(&extension.key),
                _ => None,
            },
            Self::Row(extension, _, row) => text(extension.cell(row, name)),
        }
    }

    /// Elements that are told unasked.
    pub fn unasked(self) -> String {
        let mut unasked = String::new();
        if let Self::Subscriber(held) = self {
            for (name, value) in &held.attributes {
                let (name, value) = (escape(&**name), escape(value.as_str()));
                let _ = write!(unasked, "<Attributes><Name>{name}</Name><Value>{value}</Value></Attributes>");
            }
        }
        unasked
    }
}

/// A time as the platform tells it: its local one, UTC-6 all year, without saying so. (Inferred from samples.)
fn local(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(-6));
    zone.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}
