//! Execute: `LogUnsubEvent`, an opt-out tied to a mail or a list (vendor pages of that name and "Subscription
//! validation errors").

use super::xml::Element;
use super::{Outcome, Unreadable, results};
use crate::sandbox::marketing_cloud::MarketingCloudSim;
use crate::sandbox::marketing_cloud::world::{Refused, Status, World, Written, refused};
use std::collections::BTreeMap;

type Parameters<'a> = BTreeMap<&'a str, &'a str>;

const KNOWN: [&str; 7] = ["SubscriberID", "SubscriberKey", "EmailAddress", "JobID", "ListID", "BatchID", "Reason"];

impl MarketingCloudSim {
    pub(super) fn execute(&self, message: &Element) -> Result<String, Unreadable> {
        let mut outcomes = Vec::new();
        for request in message.all("Requests") {
            if request.text_of("Name") != Some("LogUnsubEvent") {
                return Err(Unreadable);
            }
            let mut parameters = Parameters::new();
            for parameter in request.all("Parameters") {
                let (name, value) = (parameter.text_of("Name"), parameter.text_of("Value"));
                if let (Some(name), Some(value)) = (name, value.filter(|value| !value.is_empty())) {
                    parameters.insert(name, value);
                }
            }
            let job = parameters.get("JobID").and_then(|job| job.parse().ok());
            let left = leave(&mut self.world(), &parameters);
            let told = left.map(|written| {
                self.api_wrote(&written, job);
                "Event posted".to_owned()
            });
            outcomes.push(Outcome { told, more: String::new() });
        }
        Ok(results("ExecuteResponseMsg", &outcomes, true))
    }
}

/// Takes somebody off a list, or off everything if neither a list nor a mail is named.
fn leave(world: &mut World, parameters: &Parameters<'_>) -> Result<Written, Refused> {
    let key = who(world, parameters)?;
    let list = from_what(world, parameters, &key)?;
    let now = world.now();
    let Some(held) = world.subscribers.get_mut(&key) else { return refused(12001, "Subscriber not found") };
    if list == world.all_subscribers_list {
        if held.status == Status::Unsubscribed {
            return refused(12012, "The subscriber is already master unsubscribed");
        }
        held.set_status(Status::Unsubscribed, now);
    } else {
        match held.on(&list) {
            None => return refused(400, "The subscriber could not be found on the specified JobID"),
            Some(place) if place.status == Status::Unsubscribed => {
                return refused(401, "The subscriber is already unsubscribed from the specified list");
            }
            Some(_) => held.set_list_status(&list, Status::Unsubscribed, now),
        }
    }
    Ok(Written { is_new: false, subscriber: held.clone(), left: vec![list] })
}

/// The key of the one who is meant.
fn who(world: &World, parameters: &Parameters<'_>) -> Result<String, Refused> {
    if !KNOWN.iter().any(|known| parameters.contains_key(known)) {
        return refused(402, "The Parameters array did not contain any of the Parameters we were looking for");
    }
    let (id, key) = (parameters.get("SubscriberID"), parameters.get("SubscriberKey"));
    let email = parameters.get("EmailAddress");
    if id.is_none() && key.is_none() {
        return match email {
            None => refused(403, "The EmailAddress, SubscriberKey and SubscriberID parameters were not specified"),
            Some(_) => refused(404, "Only EmailAddress was provided. You MUST supply SubscriberKey or SubscriberID"),
        };
    }
    let number = id.map(|id| id.parse().unwrap_or(0));
    let Some(held) = world.find(key.copied(), number) else { return refused(12001, "Subscriber not found") };
    if number.is_some_and(|number| number != held.id) {
        return refused(405, "SubscriberID and SubscriberKey refer to different subscribers");
    }
    if email.is_some_and(|email| !held.email.eq_ignore_ascii_case(email)) {
        return refused(407, "EmailAddress and SubscriberKey or SubscriberID refer to different subscribers");
    }
    Ok(held.key.to_string())
}

/// The list that is meant: the one named, or the one that the mail named went to.
fn from_what(world: &World, parameters: &Parameters<'_>, key: &str) -> Result<String, Refused> {
    let named = parameters.get("ListID").map(|&list| list.to_owned());
    let Some(job) = parameters.get("JobID") else {
        return Ok(named.unwrap_or_else(|| world.all_subscribers_list.clone()));
    };
    let job = job.parse().ok().and_then(|job: u64| world.jobs.get(&job));
    let id = world.subscribers.get(key).map(|held| held.id);
    match job {
        Some((list, to)) if id.is_some_and(|id| to.contains(&id)) => Ok(named.unwrap_or_else(|| list.clone())),
        _ => refused(400, "The subscriber could not be found on the specified JobID"),
    }
}
