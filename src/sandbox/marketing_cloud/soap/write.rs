//! Create, Update and Delete, of subscribers and of rows.

use super::xml::Element;
use super::{Outcome, Unreadable, results};
use crate::sandbox::marketing_cloud::MarketingCloudSim;
use crate::sandbox::marketing_cloud::world::{ListAction, ListWrite, Mode, Status, World, Write, refused};
use quick_xml::escape::escape;

impl MarketingCloudSim {
    pub(super) fn create(&self, message: &Element) -> Result<String, Unreadable> {
        let options = message.child("Options").and_then(|options| options.child("SaveOptions"));
        let upserts = options.is_some_and(|options| {
            options.all("SaveOption").any(|option| option.text_of("SaveAction") == Some("UpdateAdd"))
        });
        let mode = if upserts { Mode::Upsert } else { Mode::Create };
        self.write(message, mode, "CreateResponse")
    }

    pub(super) fn update(&self, message: &Element) -> Result<String, Unreadable> {
        self.write(message, Mode::Update, "UpdateResponse")
    }

    fn write(&self, message: &Element, mode: Mode, answer: &str) -> Result<String, Unreadable> {
        let mut outcomes = Vec::new();
        for object in message.all("Objects") {
            if object.kind != "Subscriber" {
                outcomes.push(no_handler(&object.kind));
                continue;
            }
            let write = subscriber(object)?;
            let written = self.world().write(&write, mode);
            let outcome = match written {
                Ok(written) => {
                    self.api_wrote(&written, None);
                    let id = written.subscriber.id;
                    let new = if answer == "CreateResponse" { format!("<NewID>{id}</NewID>") } else { String::new() };
                    let done = if written.is_new { "Created Subscriber." } else { "Updated Subscriber." };
                    let (email, key) = (&written.subscriber.email, &written.subscriber.key);
                    Outcome { told: Ok(done.to_owned()), more: new + &shown(Some(id), email, key) }
                }
                Err(refusal) => {
                    let (email, key) = (write.email.unwrap_or_default(), write.key.unwrap_or_default());
                    let new = if answer == "CreateResponse" { "<NewID>0</NewID>" } else { "" };
                    Outcome { told: Err(refusal), more: new.to_owned() + &shown(None, &email, &key) }
                }
            };
            outcomes.push(outcome);
        }
        Ok(results(answer, &outcomes, false))
    }

    pub(super) fn delete(&self, message: &Element) -> Result<String, Unreadable> {
        let mut outcomes = Vec::new();
        for object in message.all("Objects") {
            let told = match object.kind.as_str() {
                "Subscriber" => delete_subscriber(&mut self.world(), &subscriber(object)?),
                "DataExtensionObject" => delete_row(&mut self.world(), object),
                kind => no_handler(kind).told,
            };
            outcomes.push(Outcome { told, more: String::new() });
        }
        Ok(results("DeleteResponse", &outcomes, false))
    }
}

fn no_handler(kind: &str) -> Outcome {
    let message = format!("Unable to find a handler for object type: {kind}. Object types are case-sensitive.");
    Outcome { told: Err((2, message)), more: String::new() }
}

/// The object as an answer repeats it.
fn shown(id: Option<u64>, email: &str, key: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!("<ID>{id}</ID>"));
    format!(
        "<Object xsi:type=\"Subscriber\"><PartnerKey xsi:nil=\"true\" />{id}<ObjectID xsi:nil=\"true\" />\
         <EmailAddress>{}</EmailAddress><SubscriberKey>{}</SubscriberKey></Object>",
        escape(email),
        escape(key)
    )
}

/// What is to be written about a subscriber.
fn subscriber(object: &Element) -> Result<Write, Unreadable> {
    let text = |name: &str| object.text_of(name).map(ToOwned::to_owned);
    let attribute = |attribute: &Element| {
        let part = |name: &str| attribute.text_of(name).unwrap_or_default().to_owned();
        (part("Name"), part("Value"))
    };
    Ok(Write {
        key: text("SubscriberKey"),
        id: object.text_of("ID").map(str::parse).transpose().map_err(|_| Unreadable)?,
        email: text("EmailAddress"),
        status: status(object)?,
        attributes: object.all("Attributes").map(attribute).collect(),
        lists: object.all("Lists").map(list).collect::<Result<_, _>>()?,
    })
}

fn status(element: &Element) -> Result<Option<Status>, Unreadable> {
    element.text_of("Status").map(|name| Status::named(name).ok_or(Unreadable)).transpose()
}

/// What no action is taken for isn't documented; here, for `Create`.
fn list(element: &Element) -> Result<ListWrite, Unreadable> {
    let action = match element.text_of("Action").unwrap_or("Create").to_ascii_lowercase().as_str() {
        "create" => ListAction::Create,
        "update" => ListAction::Update,
        "upsert" => ListAction::Upsert,
        "delete" => ListAction::Delete,
        _ => return Err(Unreadable),
    };
    let list = element.text_of("ID").ok_or(Unreadable)?.to_owned();
    Ok(ListWrite { list, action, status: status(element)? })
}

fn delete_subscriber(world: &mut World, named: &Write) -> Result<String, (u32, String)> {
    let key = world.find(named.key.as_deref(), named.id).map(|held| held.key.to_string());
    match key.and_then(|key| world.subscribers.remove(&key)) {
        Some(_) => Ok("Subscriber deleted".to_owned()),
        None => refused(12001, "Subscriber not found"),
    }
}

/// A row that isn't there is deleted like any other.
fn delete_row(world: &mut World, object: &Element) -> Result<String, (u32, String)> {
    let extension = object.text_of("CustomerKey").and_then(|key| world.extensions.get_mut(key));
    let Some(extension) = extension else { return refused(310_007, "The data extension was not found") };
    let mut named = object.all("Keys").flat_map(|keys| keys.all("Key"));
    let key = named.find(|key| key.text_of("Name") == Some(extension.kind.primary_key.as_str()));
    let Some(key) = key.and_then(|key| key.text_of("Value")) else {
        return refused(310_007, "The primary key is missing");
    };
    extension.remove(key);
    Ok("Deleted DataExtensionObject".to_owned())
}
