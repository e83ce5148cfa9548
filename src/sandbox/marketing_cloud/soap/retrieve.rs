//! Retrieve: subscribers, their places on lists, lists, rows; some properties of each, 2,500 a page.

use super::filter::Filter;
use super::objects::{Kind, Name, Object};
use super::xml::Element;
use super::{PARTNER, Unreadable};
use crate::sandbox::marketing_cloud::MarketingCloudSim;
use crate::sandbox::marketing_cloud::world::World;
use quick_xml::escape::escape;
use std::collections::HashMap;
use std::fmt::Write;

/// The most objects in one answer.
const PAGE: usize = 2_500;

/// What was not yet told of answers that were too long, by request. Each call that continues one gets the next page:
/// an answer that was lost can't be asked for again.
#[derive(Default)]
pub struct Pages(HashMap<String, Rest>);

/// Which objects there were when they were asked for. They are told as they are when their turn comes, and not at
/// all if they are gone then.
struct Rest {
    kind: &'static str,
    properties: Vec<String>,
    names: Vec<Name>,
    told: usize,
}

impl MarketingCloudSim {
    pub(super) fn retrieve(&self, message: &Element) -> Result<String, Unreadable> {
        let asked = message.child("RetrieveRequest").ok_or(Unreadable)?;
        let mut world = self.world();
        if let Some(request) = asked.text_of("ContinueRequest") {
            let Some(mut rest) = world.pages.0.remove(request) else {
                return Ok(answer("Error: The request to be continued was not found", "", ""));
            };
            let until = rest.names.len().min(rest.told + PAGE);
            let properties: Vec<_> = rest.properties.iter().map(String::as_str).collect();
            let page = rest.names[rest.told..until].iter().filter_map(|name| Object::named(&world, name));
            let page = self.shown(&world, rest.kind, page, &properties);
            rest.told = until;
            let status = if until < rest.names.len() { "MoreDataAvailable" } else { "OK" };
            if until < rest.names.len() {
                world.pages.0.insert(request.to_owned(), rest);
            }
            return Ok(answer(status, request, &page));
        }
        let request = crate::sandbox::new_uuid().to_string();
        let (page, rest) = match self.found(&world, asked)? {
            Ok(found) => found,
            Err(error) => return Ok(answer(&format!("Error: {error}"), "", "")),
        };
        let Some(rest) = rest else { return Ok(answer("OK", &request, &page)) };
        world.pages.0.insert(request.clone(), rest);
        Ok(answer("MoreDataAvailable", &request, &page))
    }

    /// The first page of everything that is asked for, with what is left; or what is wrong with it.
    fn found(&self, world: &World, asked: &Element) -> Result<Result<(String, Option<Rest>), String>, Unreadable> {
        let object = asked.text_of("ObjectType").ok_or(Unreadable)?;
        let filter = asked.child("Filter").map(Filter::read).transpose()?;
        let properties: Vec<&str> = asked.all("Properties").map(|property| property.text.as_str()).collect();
        let kind = match Kind::named(world, object) {
            Ok(kind) => kind,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.check(kind, &properties, filter.as_ref()) {
            return Ok(Err(error));
        }
        let settings = self.settings();
        let mut found = kind.all(world, filter.as_ref());
        if let Some(filter) = &filter {
            found.retain(|object| filter.holds(&|name| object.value(world, settings, name)));
        }
        let page = self.shown(world, kind.name(), found.iter().take(PAGE).copied(), &properties);
        let rest = (found.len() > PAGE).then(|| Rest {
            kind: kind.name(),
            properties: properties.iter().map(|&name| name.to_owned()).collect(),
            names: found.iter().map(|object| object.name(kind)).collect(),
            told: PAGE,
        });
        Ok(Ok((page, rest)))
    }

    fn check(&self, kind: Kind<'_>, properties: &[&str], filter: Option<&Filter>) -> Result<(), String> {
        let known = kind.known(self.settings());
        let is_unknown = |name: &&str| !known.contains(name);
        let unknown: Vec<&str> = properties.iter().copied().filter(is_unknown).collect();
        if !unknown.is_empty() {
            let (unknown, kind) = (unknown.join(", "), kind.name());
            return Err(format!("The Request Property(s) {unknown} do not match with the fields of {kind} retrieve"));
        }
        // How these two are told isn't documented.
        if properties.is_empty() {
            return Err("There are no Request Properties".to_owned());
        }
        match filter.and_then(|filter| filter.properties().into_iter().find(is_unknown)) {
            Some(unknown) => Err(format!("The Filter Property {unknown} is not one of {} retrieve", kind.name())),
            None => Ok(()),
        }
    }

    fn shown<'a>(
        &'a self,
        world: &'a World,
        kind: &str,
        objects: impl Iterator<Item = Object<'a>>,
        properties: &[&str],
    ) -> String {
        let mut text = String::new();
        let is_row = kind == "DataExtensionObject";
        for object in objects {
            let _ = write!(
                text,
                "<Results xsi:type=\"{kind}\"><PartnerKey xsi:nil=\"true\" /><ObjectID xsi:nil=\"true\" />"
            );
            if is_row {
                text.push_str("<Type>DataExtensionObject</Type><Properties>");
            }
            for &name in properties {
                let Some(value) = object.value(world, self.settings(), name) else { continue };
                let value = escape(value);
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
            text.push_str(&object.unasked());
            text.push_str("</Results>");
        }
        text
    }
}

fn answer(status: &str, request: &str, found: &str) -> String {
    let request = if request.is_empty() { crate::sandbox::new_uuid().to_string() } else { request.to_owned() };
    format!(
        "<RetrieveResponseMsg xmlns=\"{PARTNER}\"><OverallStatus>{}</OverallStatus><RequestID>{request}</RequestID>\
         {found}</RetrieveResponseMsg>",
        escape(status)
    )
}
