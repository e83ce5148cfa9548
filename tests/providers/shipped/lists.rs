//! An audience as a whole, where the system shows it: everybody on it is listed, and as a look finds them.

use super::guests::Provider;
use super::town::{Town, address};
use gigya_esp_gateway::config::Config;
use gigya_esp_gateway::domain::Audience;
use gigya_esp_gateway::esp::{self, Esp, Whom};
use gigya_esp_gateway::upstream::{Deadline, HttpTransport};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// More than any of their pages has, but Brevo's and Mailchimp's.
const PEOPLE: usize = 130;

fn deadline() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_mins(1))
}

/// The connection of a town's gateway, once more.
fn connected(town: &Town) -> (Arc<dyn Esp>, Audience) {
    let outfit = town.sandbox.outfit();
    let environment = outfit.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let config = Config::parse(&outfit.configuration, Path::new("test.toml"), &environment).unwrap();
    let audience = config.routes.first().unwrap().audience.clone();
    let connection = config.esps.into_values().next().unwrap();
    (esp::connect(&connection, Arc::new(HttpTransport::new().unwrap())), audience)
}

#[tokio::test]
async fn who_is_listed_is_as_a_look_finds_them() {
    for provider in [Provider::Brevo, Provider::Mailchimp, Provider::Klaviyo] {
        let town = Town::of(provider).await;
        let names: Vec<String> = (0..PEOPLE).map(|nth| format!("person{nth}")).collect();
        for (nth, name) in names.iter().enumerate() {
            assert!(town.esp.form_subscribe(&address(name)));
            match nth % 5 {
                3 => assert!(town.esp.bounce(&address(name))),
                4 => assert!(town.esp.unsubscribe_link(&address(name))),
                _ => {}
            }
        }
        let (esp, audience) = connected(&town);
        let (mut parts, mut from) = (BTreeMap::<String, Vec<Vec<u8>>>::new(), None);
        loop {
            let page = esp.list(&audience, from.as_ref(), deadline()).await.unwrap();
            for part in page.parts {
                parts.entry(part.key.0.to_string()).or_default().push(part.said);
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        let mut listed = 0;
        for said in parts.values() {
            let said: Vec<&[u8]> = said.iter().map(Vec::as_slice).collect();
            let Some(record) = esp.combine(&audience, &said) else { continue };
            let whom = Whom { uids: Vec::new(), addresses: vec![&record.address], fields: &[] };
            let found = esp.find(&audience, &whom, deadline()).await.unwrap();
            assert_eq!(found.len(), 1, "{provider:?}");
            assert_eq!(record.consent, found[0].consent, "{provider:?}");
            assert_eq!(record.key, found[0].key, "{provider:?}");
            listed += usize::from(record.consent.is_opted_in());
        }
        let mailed = names.iter().filter(|name| town.mails(name)).count();
        assert_eq!((listed, mailed), (PEOPLE * 3 / 5, PEOPLE * 3 / 5), "{provider:?}");
    }
}
