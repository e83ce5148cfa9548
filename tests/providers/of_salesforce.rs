//! What Salesforce does that no other provider does.

use crate::contract::{Port, ask};
use crate::suite::{Provider, Town, address};
use gigya_esp_gateway::config::{Config, Environment};
use gigya_esp_gateway::domain::{Audience, Email, Uid};
use gigya_esp_gateway::esp::{self, Esp, Person, Whom, Written};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::salesforce::{
    CALLBACK_SECRET, Callbacks, ORGANIZATION, OUTBOUND_TOKEN, Organization, SalesforceSettings, SalesforceSim,
};
use gigya_esp_gateway::upstream::{Deadline, Fault, HttpTransport, Transport};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An organization that doesn't keep the time of consent, in a zone where the day is half over: what happens in a test
/// happens within one day.
pub fn without_times() -> SalesforceSettings {
    let hour = Timestamp::now().to_string()[11..13].parse::<i64>().unwrap();
    // POSIX names count the other way.
    let zone = format!("time_zone = \"Etc/GMT{:+}\"", hour - 12);
    SalesforceSettings { keeps_time: false, lines: zone, ..SalesforceSettings::default() }
}

async fn town(settings: SalesforceSettings) -> (Town, SalesforceSim) {
    let organization = Organization::new(settings);
    let town = Town::of(Provider::new(Setup::with_further(organization.clone()))).await;
    let sim = organization.sim().unwrap();
    (town, sim)
}

fn of_route(lines: &str) -> SalesforceSettings {
    let route = format!("fields = {{ FirstName = \"profile.firstName\" }}\n{lines}");
    SalesforceSettings { route, ..SalesforceSettings::default() }
}

/// An Outbound Message of which the gateway gets to hear; the answer's status and body.
async fn post(town: &Town, token: &str, body: String) -> (u16, String) {
    let url = format!("http://{}/webhooks/salesforce/sales/{token}", town.sandbox.gateways[0]);
    let request = reqwest::Client::new().post(&url).header("content-type", "text/xml; charset=utf-8").body(body);
    let answer = ask(Port::Webhooks, request).await;
    (answer.status, answer.body)
}

/// What Apex sends; the answer's status and body.
async fn post_signed(town: &Town, secret: &str, body: &Value) -> (u16, String) {
    use base64::Engine;
    let body = body.to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = base64::prelude::BASE64_STANDARD.encode(aws_lc_rs::hmac::sign(&key, body.as_bytes()));
    let url = format!("http://{}/webhooks/salesforce/sales", town.sandbox.gateways[0]);
    let request = reqwest::Client::new()
        .post(&url)
        .header("content-type", "application/json")
        .header("x-gateway-signature", signature)
        .body(body);
    let answer = ask(Port::Webhooks, request).await;
    (answer.status, answer.body)
}

fn message(organization: &str, id: &str, fields: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><e:Body><notifications \
         xmlns=\"http://soap.sforce.com/2005/09/outbound\"><OrganizationId>{organization}</OrganizationId>\
         <Notification><Id>04l5e00000Gx7QzAAJ</Id><sObject xsi:type=\"sf:Contact\" \
         xmlns:sf=\"urn:sobject.enterprise.soap.sforce.com\"><sf:Id>{id}</sf:Id>{fields}</sObject></Notification>\
         </notifications></e:Body></e:Envelope>"
    )
}

fn id_of(sim: &SalesforceSim, name: &str) -> String {
    sim.at(&address(name))[0]["Id"].as_str().unwrap().to_owned()
}

/// The Ack comes once Gigya has the opt-out, and not before; until then it is told again.
#[tokio::test]
async fn a_message_is_acknowledged_only_once_gigya_has_the_opt_out() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.faults().set_down(true);
    sim.courier().pause(true);
    assert_eq!(sim.set_opted_out(&address("ann"), true), 1);
    let told = || message(ORGANIZATION, &id_of(&sim, "ann"), "");
    let (status, answer) = post(&town, OUTBOUND_TOKEN, told()).await;
    assert_eq!(status, 503);
    assert!(!answer.contains("Ack") && answer.contains("\"deferred\":1"), "{answer}");
    assert_eq!(town.gigya_says(&uid), Some(true));
    town.sandbox.gigya.faults().set_down(false);
    // The gateway's breaker lets calls through again after a while.
    let answer = loop {
        let (status, answer) = post(&town, OUTBOUND_TOKEN, told()).await;
        if status == 200 {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert!(answer.contains("<Ack>true</Ack>"), "{answer}");
    assert_eq!(town.gigya_says(&uid), Some(false));
    sim.courier().pause(false);
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(false));
}

/// Neither another token, nor another organization, nor what isn't a message is taken, and nothing is asked upstream for it.
#[tokio::test]
async fn hostile_messages_end_before_anything_is_asked() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    let id = id_of(&sim, "ann");
    let calls = || town.sandbox.faults().map(gigya_esp_gateway::sandbox::Faults::all_calls).sum::<u64>();
    let before = calls();
    let out = "<sf:HasOptedOutOfEmail>true</sf:HasOptedOutOfEmail>";
    let good = message(ORGANIZATION, &id, out);
    let lol = "<!DOCTYPE e [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>";
    let file = "<!DOCTYPE e [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>";
    let with = |doctype: &str| good.replacen("?>", &format!("?>{doctype}"), 1).replace("true<", "&c;&a;<");
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    for (token, body, expected) in [
        ("another-token-0123456789abcdef", good.clone(), 401),
        (OUTBOUND_TOKEN, message("00D000000000001EAG", &id, out), 401),
        (OUTBOUND_TOKEN, with(lol), 400),
        (OUTBOUND_TOKEN, with(file), 400),
        (OUTBOUND_TOKEN, message(ORGANIZATION, &id, "<sf:X>&unknown;</sf:X>"), 400),
        (OUTBOUND_TOKEN, deep, 400),
        (OUTBOUND_TOKEN, good[..good.len() - 20].to_owned(), 400),
        (OUTBOUND_TOKEN, "{}".to_owned(), 400),
        (OUTBOUND_TOKEN, String::new(), 400),
    ] {
        let (status, answer) = post(&town, token, body).await;
        assert_eq!(status, expected, "{answer}");
        assert!(!answer.contains("Ack"));
    }
    assert_eq!(calls(), before);
    assert_eq!(town.gigya_says(&uid), Some(true));
}

/// A message says where to look, not what is so: one that is forged in all but its token changes nothing.
#[tokio::test]
async fn what_a_message_says_of_a_record_that_is_there_is_looked_up() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    let fields = "<sf:Email>ann@example.org</sf:Email><sf:HasOptedOutOfEmail>true</sf:HasOptedOutOfEmail>";
    let (status, answer) = post(&town, OUTBOUND_TOKEN, message(ORGANIZATION, &id_of(&sim, "ann"), fields)).await;
    assert!(status == 200 && answer.contains("<Ack>true</Ack>"), "{status} {answer}");
    assert_eq!(town.gigya_says(&uid), Some(true));
    // An id can't be made part of a query.
    let tricky = message(ORGANIZATION, "x' OR Id != '", fields);
    assert_eq!(post(&town, OUTBOUND_TOKEN, tricky).await.0, 200);
    assert_eq!(town.gigya_says(&uid), Some(true));
}

/// Somebody opts out, and the record is deleted before the message comes: the message is all that is left of it.
#[tokio::test]
async fn an_opt_out_of_a_record_that_is_gone_counts_as_it_was_told() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    let id = id_of(&sim, "ann");
    assert!(sim.delete(&id));
    let fields = format!(
        "<sf:Email>ann@example.org</sf:Email><sf:Gigya_UID__c>{uid}</sf:Gigya_UID__c>\
         <sf:HasOptedOutOfEmail>true</sf:HasOptedOutOfEmail>"
    );
    let (status, answer) = post(&town, OUTBOUND_TOKEN, message(ORGANIZATION, &id, &fields)).await;
    assert!(status == 200 && answer.contains("<Ack>true</Ack>"), "{status} {answer}");
    assert_eq!(town.gigya_says(&uid), Some(false));
}

/// Apex tells of a deletion, too.
#[tokio::test]
async fn a_deletion_that_is_told_is_an_opt_out_and_a_wrong_signature_is_nobody_s() {
    let (mut town, sim) =
        town(SalesforceSettings { callbacks: Callbacks::Signed, ..SalesforceSettings::default() }).await;
    let uid = town.subscriber("ann").await;
    let id = id_of(&sim, "ann");
    assert!(sim.delete(&id));
    let body = json!({
        "object": "Contact", "id": id, "deleted": true, "fields": { "Email": address("ann"), "Gigya_UID__c": uid },
    });
    for (secret, expected) in [("another", 401), (CALLBACK_SECRET, 200)] {
        assert_eq!(post_signed(&town, secret, &body).await.0, expected);
        assert_eq!(town.gigya_says(&uid), Some(expected != 200));
    }
}

/// Whoever writes the Flow may spell the object as they like; what can't be told is kept for a person, and not taken for settled.
#[tokio::test]
async fn an_opt_out_of_an_object_that_is_spelled_otherwise_is_not_lost() {
    let settings = SalesforceSettings { callbacks: Callbacks::Signed, ..SalesforceSettings::default() };
    let (mut town, sim) = town(settings).await;
    let uid = town.subscriber("ann").await;
    let id = id_of(&sim, "ann");
    sim.courier().pause(true);
    sim.set_opted_out(&address("ann"), true);
    let of = |object: &str| json!({ "object": object, "id": id, "fields": { "HasOptedOutOfEmail": true } });
    for object in ["Contacts", "Individual", "PersonAccount"] {
        let (status, answer) = post_signed(&town, CALLBACK_SECRET, &of(object)).await;
        let expected = if object == "PersonAccount" { "no_route" } else { "malformed" };
        assert!(status == 200 && answer.contains(expected), "{object}: {status} {answer}");
        assert_eq!(answer.contains("\"rejected\":1"), object != "PersonAccount", "{answer}");
        assert_eq!(town.gigya_says(&uid), Some(true));
    }
    post_signed(&town, CALLBACK_SECRET, &of("contact")).await;
    assert_eq!(town.gigya_says(&uid), Some(false));
}

/// A message of another object is told of as one that nothing can be done with; one that comes again for ever would help nobody.
#[tokio::test]
async fn a_message_of_an_object_that_is_no_audience_is_set_aside() {
    let (town, _) = town(SalesforceSettings::default()).await;
    let body = message(ORGANIZATION, "0035e00000ZkM3hAAF", "").replace("sf:Contact", "sf:Individual");
    let (status, answer) = post(&town, OUTBOUND_TOKEN, body).await;
    assert!(status == 200 && answer.contains("<Ack>true</Ack>"), "{status} {answer}");
    let metrics = format!("http://{}/metrics", town.sandbox.operations[0]);
    let metrics = ask(Port::Operations, reqwest::Client::new().get(&metrics)).await.body;
    let is_told = |line: &&str| line.contains("rejected") && line.contains("malformed") && line.ends_with(" 1");
    assert!(metrics.lines().any(|line| is_told(&line)), "{metrics}");
}

/// Without the time of consent, an opt-out counts to the end of its day; an opt-in on another day is newer.
#[tokio::test]
async fn an_opt_in_of_another_day_is_newer_than_an_opt_out_without_a_time() {
    let (mut town, sim) = town(without_times()).await;
    town.sandbox.clock.advance(SignedDuration::from_hours(-25));
    let uid = town.subscriber("ann").await;
    sim.set_opted_out(&address("ann"), true);
    town.quiet().await;
    town.sandbox.clock.advance(SignedDuration::from_hours(24));
    town.sandbox.gigya.subscribe(&uid, "newsletter");
    town.quiet().await;
    assert!(town.mails("ann"), "{:?}", town.outcomes());
    assert_eq!(town.gigya_says(&uid), Some(true));
}

/// Whoever changes a record doesn't thereby opt in again who is in there: a change's time is not consent's.
#[tokio::test]
async fn a_record_that_is_edited_late_is_no_newer_opt_in() {
    let (mut town, sim) = town(without_times()).await;
    let uid = town.subscriber("ann").await;
    town.esp().faults().set_down(true);
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    town.a_while_passes();
    town.esp().faults().set_down(false);
    sim.edit(&id_of(&sim, "ann"), json!({ "FirstName": "Annie" }));
    town.quiet().await;
    assert!(!town.mails("ann"));
    assert_eq!(town.gigya_says(&uid), Some(false));
}

/// Opt-ins there count where the route says so, and where since when is known.
#[tokio::test]
async fn an_opt_in_there_counts_where_its_time_is_known() {
    let (mut town, sim) = town(of_route("accept_opt_ins = true")).await;
    // What is ahead of the gateway's own clock isn't believed to be so.
    town.sandbox.clock.advance(SignedDuration::from_hours(-1));
    let uid = town.subscriber("ann").await;
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    town.quiet().await;
    // Longer than a write of the gateway's own may lag.
    town.sandbox.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(sim.set_opted_out(&address("ann"), false), 1);
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(true), "{:?}", town.outcomes());
    assert!(town.mails("ann"));
}

/// A Contact that somebody made without Gigya becomes the account's; one that is out stays out.
#[tokio::test]
async fn records_that_are_there_are_taken_as_they_are() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    sim.create("Contact", json!({ "LastName": "A", "Email": address("ann") }));
    sim.create("Contact", json!({ "LastName": "B", "Email": address("bea"), "HasOptedOutOfEmail": true }));
    town.quiet().await;
    town.sandbox.clock.advance(SignedDuration::from_secs(-3600));
    let ann = town.sandbox.gigya.sign_up(&address("ann"), "ann");
    let bea = town.sandbox.gigya.sign_up(&address("bea"), "bea");
    town.sandbox.gigya.subscribe(&ann, "newsletter");
    town.sandbox.gigya.subscribe(&bea, "newsletter");
    town.quiet().await;
    assert_eq!(sim.records().len(), 2);
    assert_eq!(sim.at(&address("ann"))[0]["Gigya_UID__c"], json!(ann));
    assert!(town.mails("ann") && !town.mails("bea"), "{:?}", town.outcomes());
    assert_eq!(town.gigya_says(&bea), Some(false), "the opt-out is Gigya's, too");
}

/// Several records with one address: whoever opts out is mailed by none of them.
#[tokio::test]
async fn of_several_records_with_one_address_none_is_mailed_after_an_opt_out() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    sim.create("Contact", json!({ "LastName": "Double", "Email": address("ann") }));
    sim.create("Contact", json!({ "LastName": "Triple", "Email": "ANN@example.org" }));
    town.quiet().await;
    town.a_while_passes();
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    town.quiet().await;
    assert_eq!(sim.at(&address("ann")).len(), 3);
    assert!(sim.at(&address("ann")).iter().all(|row| row["HasOptedOutOfEmail"] == true), "{:?}", town.outcomes());
}

/// Removal: opted out and the UID kept, or deleted.
#[tokio::test]
async fn who_is_gone_is_opted_out_or_deleted_as_configured() {
    for (lines, is_kept) in [("", true), ("on_inactive = \"delete\"", false)] {
        let (mut town, sim) = town(of_route(lines)).await;
        let uid = town.subscriber("ann").await;
        town.sandbox.gigya.set_active(&uid, false);
        town.quiet().await;
        assert!(!town.mails("ann"));
        let left = sim.records();
        assert_eq!(left.len(), usize::from(is_kept), "{:?}", town.outcomes());
        assert!(left.iter().all(|row| row["Gigya_UID__c"] == json!(uid) && row["HasOptedOutOfEmail"] == true));
    }
}

/// Sessions end, rows are locked, the calls of the day are used up: all of it passes, and nothing is lost.
#[tokio::test]
async fn what_passes_is_tried_again() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    sim.expire_sessions();
    sim.refuse_writes("UNABLE_TO_LOCK_ROW", 2);
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    town.quiet().await;
    assert!(!town.mails("ann"));
    assert_eq!(sim.faults().calls("token"), 2, "one for each session");
}

#[tokio::test]
async fn used_up_calls_are_not_hammered_on_and_the_sender_is_told_to_come_again() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    sim.use_up_calls(true);
    town.statuses();
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    let mut answers = Vec::new();
    let mut calls = 0;
    while answers.len() < 5 {
        tokio::task::yield_now().await;
        answers.extend(town.statuses());
        // Two webhooks may have been under way together.
        if answers.len() <= 2 {
            calls = sim.faults().all_calls();
        }
    }
    assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
    assert_eq!(sim.faults().all_calls(), calls, "left alone for as long as it takes");
    town.sandbox.gigya.courier().forget();
    assert!(town.mails("ann"));
}

/// An opt-out that an automation over there refuses is not forgotten: it comes again until a person has seen to it. An opt-in
/// is refused for good.
#[tokio::test]
async fn a_refused_opt_out_comes_again_and_a_refused_opt_in_does_not() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let ann = town.subscriber("ann").await;
    sim.refuse_writes("FIELD_CUSTOM_VALIDATION_EXCEPTION", 1);
    town.sandbox.gigya.unsubscribe(&ann, "newsletter");
    town.quiet().await;
    assert!(!town.mails("ann"));
    assert!(town.outcomes().contains(&"deferred:configuration".to_owned()));
    sim.refuse_writes("DUPLICATES_DETECTED", 100);
    let bea = town.sandbox.gigya.sign_up(&address("bea"), "bea");
    town.quiet().await;
    town.outcomes();
    town.sandbox.gigya.subscribe(&bea, "newsletter");
    town.quiet().await;
    let outcomes = town.outcomes();
    let is_refused = |outcome: &String| outcome == "rejected:refused_by_other_side";
    assert!(!outcomes.is_empty() && outcomes.iter().all(is_refused), "{outcomes:?}");
    assert!(!town.mails("bea"));
}

/// Between the look and the write that would opt them in, somebody says no.
#[tokio::test]
async fn an_opt_out_that_comes_between_look_and_write_stands() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    // One who isn't there yet when the gateway looks.
    let fresh = town.sandbox.gigya.sign_up(&address("bea"), "bea");
    let uid = fresh.clone();
    sim.before_next("upsert", move |world| {
        let row = json!({
            "LastName": "B", "Email": "bea@example.org", "Gigya_UID__c": uid, "HasOptedOutOfEmail": true,
            "Consent_Time__c": "2099-01-01T00:00:00.000+0000",
        });
        world.create("Contact", row.as_object().cloned().unwrap());
    });
    town.sandbox.gigya.subscribe(&fresh, "newsletter");
    town.quiet().await;
    assert!(!town.mails("bea"), "{:?}", town.outcomes());
    assert_eq!(town.gigya_says(&fresh), Some(false));

    // One who is out, and says so again.
    let ann = town.subscriber("ann").await;
    sim.set_opted_out(&address("ann"), true);
    town.quiet().await;
    town.a_while_passes();
    let id = id_of(&sim, "ann");
    let clock = town.sandbox.clock.clone();
    sim.before_next("update", move |world| {
        clock.advance(SignedDuration::from_secs(5));
        let said: Value = json!({ "HasOptedOutOfEmail": true, "Consent_Time__c": "2099-01-01T00:00:00.000+0000" });
        world.edit(&id, said.as_object().cloned().unwrap());
    });
    town.sandbox.gigya.subscribe(&ann, "newsletter");
    town.quiet().await;
    assert!(!town.mails("ann"), "{:?}", town.outcomes());
    assert_eq!(town.gigya_says(&ann), Some(false));
}

/// An address that somebody changes over there is not Gigya's; the record comes back to the account's.
#[tokio::test]
async fn an_address_that_is_changed_there_comes_back() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    sim.edit(&id_of(&sim, "ann"), json!({ "Email": "other@example.org" }));
    town.quiet().await;
    town.sandbox.gigya.fire_update_of(&uid);
    town.quiet().await;
    let addresses: Vec<_> = sim.records().iter().map(|row| row["Email"].clone()).collect();
    assert_eq!(addresses, [json!(address("ann"))], "{:?}", town.outcomes());
    assert_eq!(town.gigya_says(&uid), Some(true));
}

/// What the configuration maps is written, a required name that is missing too.
#[tokio::test]
async fn mapped_fields_are_written_once() {
    let (mut town, sim) = town(SalesforceSettings {
        route: "fields = { FirstName = \"profile.firstName\", LastName = \"profile.lastName\" }".to_owned(),
        ..SalesforceSettings::default()
    })
    .await;
    let uid = town.subscriber("ann").await;
    let row = sim.records().remove(0);
    assert_eq!((&row["FirstName"], &row["LastName"]), (&json!("ann"), &json!("-")));
    town.sandbox.gigya.set_profile(&uid, "lastName", "Olsen".into());
    town.quiet().await;
    assert_eq!(sim.records()[0]["LastName"], "Olsen");
    let writes = sim.faults().calls("update");
    town.sandbox.gigya.fire_update_of(&uid);
    town.quiet().await;
    assert_eq!(sim.faults().calls("update"), writes);
    assert!(town.sandbox.settled(Duration::from_secs(1)).await);
}

/// With a JWT for a secret, everything is as it is.
#[tokio::test]
async fn a_signed_jwt_is_as_good_as_a_secret() {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gigya/test-key-pkcs8.pem");
    let (mut town, sim) = town(SalesforceSettings {
        jwt_key: Some(include_str!("../fixtures/gigya/test-key-public.pem").to_owned()),
        lines: format!("private_key = {{ file = \"{key}\" }}"),
        ..SalesforceSettings::default()
    })
    .await;
    let uid = town.subscriber("ann").await;
    assert_eq!(sim.set_opted_out(&address("ann"), true), 1);
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(false));
}

/// The connection that the gateway has, to be asked what no webhook asks.
fn connection(town: &Town) -> (Arc<dyn Esp>, Audience) {
    let environment: Environment = town.sandbox.outfit().environment.iter().cloned().collect();
    let config = Config::parse(&town.sandbox.outfit().configuration, Path::new("test.toml"), &environment).unwrap();
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new().unwrap());
    let esp = esp::connect(config.esps.values().next().unwrap(), transport);
    (esp, config.routes[0].audience.clone())
}

fn soon() -> Deadline {
    Deadline::after(tokio::time::Instant::now(), Duration::from_secs(30))
}

fn person(name: &str) -> Person {
    let (address, uid) = (Email::parse(&address(name)).unwrap(), Uid::new(&format!("uid-{name}")).unwrap());
    Person { address, uid, fields: Vec::new() }
}

/// A list is read page by page to its end, and says of everybody what a look at them alone says.
#[tokio::test]
async fn an_audience_is_read_as_a_whole() {
    let (town, sim) = town(SalesforceSettings { page: 2, ..SalesforceSettings::default() }).await;
    for (number, out) in [true, false, true, false, true].into_iter().enumerate() {
        let email = address(&format!("p{number}"));
        sim.create("Contact", json!({ "LastName": "P", "Email": email, "HasOptedOutOfEmail": out }));
    }
    sim.create("Contact", json!({ "LastName": "No address" }));
    sim.create("Lead", json!({ "LastName": "L", "Company": "L", "Email": address("lead") }));
    let (esp, audience) = connection(&town);
    let (mut parts, mut from, mut totals) = (Vec::new(), None, Vec::new());
    loop {
        let page = esp.list(&audience, from.as_ref(), soon()).await.unwrap();
        totals.push(page.total);
        parts.extend(page.parts);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((parts.len(), totals), (5, vec![Some(5), None, None]));
    for part in &parts {
        let listed = esp.combine(&audience, &[&part.said]).unwrap();
        let whom = Whom { uids: Vec::new(), addresses: vec![&listed.address], fields: &[] };
        let found = esp.find(&audience, &whom, soon()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].consent, &found[0].key, &found[0].fields), (listed.consent, &listed.key, &listed.fields));
    }
}

/// Newcomers come by one call; who is there, is refused or came meanwhile is told apart, and nobody is opted in who is out.
#[tokio::test]
async fn an_audience_is_filled_by_collections() {
    let (town, sim) = town(SalesforceSettings::default()).await;
    sim.create("Contact", json!({ "LastName": "B", "Email": address("bea"), "HasOptedOutOfEmail": true }));
    let (esp, audience) = connection(&town);
    let people: Vec<Person> = ["ann", "bea", "cid", "dan"].into_iter().map(person).collect();
    sim.before_next("collection", |world| {
        let row = json!({
            "LastName": "C", "Email": "cid@example.org", "Gigya_UID__c": "uid-cid", "HasOptedOutOfEmail": true,
        });
        world.create("Contact", row.as_object().cloned().unwrap());
    });
    sim.refuse_writes("STRING_TOO_LONG", 1);
    let loaded = esp.load(&audience, &people, soon()).await.unwrap();
    let expected = [Err(Fault::Refused { code: 400 }), Ok(Written::Moved), Ok(Written::Moved), Ok(Written::Done)];
    assert_eq!(loaded, expected);
    assert_eq!(sim.faults().calls("collection"), 1);
    let is_out = |name: &str| sim.at(&address(name)).iter().all(|row| row["HasOptedOutOfEmail"] == true);
    assert!(is_out("bea") && is_out("cid") && !is_out("dan") && sim.at(&address("ann")).is_empty());
    let many: Vec<Person> = (0..esp.load_size(&audience)).map(|number| person(&format!("m{number}"))).collect();
    let loaded = esp.load(&audience, &many, soon()).await.unwrap();
    assert!(loaded.len() == 200 && loaded.iter().all(|one| *one == Ok(Written::Done)));
    assert_eq!(sim.faults().calls("collection"), 2);
}

/// Staff tick the box, and nobody writes the time: what it says is that of an older act, which must not be believed.
#[tokio::test]
async fn a_box_ticked_by_hand_is_not_as_old_as_the_time_beside_it() {
    let lines = "consent_time_field = \"Consent_Time__c\"".to_owned();
    let (mut town, sim) = town(SalesforceSettings { keeps_time: false, lines, ..SalesforceSettings::default() }).await;
    let uid = town.subscriber("ann").await;
    let id = id_of(&sim, "ann");
    let long_ago = "2020-01-01T00:00:00.000+0000";
    sim.edit(&id, json!({ "HasOptedOutOfEmail": true, "Consent_Time__c": long_ago }));
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(false));
    assert_eq!(sim.at(&address("ann"))[0]["HasOptedOutOfEmail"], true);
}

/// Email Opt Out is for everything: it is heard for a checkbox of one's own, and not lifted for it.
#[tokio::test]
async fn out_of_everything_is_out_of_each() {
    let settings =
        SalesforceSettings { audience: "Lead.Newsletter_Opt_Out__c".to_owned(), ..SalesforceSettings::default() };
    let (mut town, sim) = town(settings).await;
    let uid = town.subscriber("ann").await;
    sim.edit(&id_of(&sim, "ann"), json!({ "HasOptedOutOfEmail": true }));
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(false));
    town.a_while_passes();
    town.sandbox.gigya.subscribe(&uid, "newsletter");
    town.quiet().await;
    assert_eq!(sim.at(&address("ann"))[0]["HasOptedOutOfEmail"], true);
}

/// A record that has lost its address is still the account's: whoever leaves meanwhile is out when somebody fills it in again.
#[tokio::test]
async fn who_leaves_while_their_record_has_no_address_is_out_when_it_has_one_again() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let uid = town.subscriber("ann").await;
    let id = id_of(&sim, "ann");
    sim.edit(&id, json!({ "Email": null }));
    town.quiet().await;
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    town.quiet().await;
    sim.edit(&id, json!({ "Email": address("ann") }));
    town.quiet().await;
    assert_eq!(sim.at(&address("ann"))[0]["HasOptedOutOfEmail"], true);
    assert_eq!(town.gigya_says(&uid), Some(false));
}

/// An address that is none doesn't hide a record from the account whose UID it has.
#[tokio::test]
async fn who_leaves_while_their_records_address_is_none_is_opted_out_all_the_same() {
    let (mut town, sim) = town(SalesforceSettings::default()).await;
    let (ann, bea) = (town.subscriber("ann").await, town.subscriber("bea").await);
    for name in ["ann", "bea"] {
        sim.edit(&id_of(&sim, name), json!({ "Email": format!("{name} at example.org") }));
    }
    town.quiet().await;
    town.sandbox.gigya.unsubscribe(&ann, "newsletter");
    town.sandbox.gigya.fire_update_of(&bea);
    town.quiet().await;
    let said = |uid: &str| {
        let rows = sim.records().into_iter().filter(|row| row["Gigya_UID__c"] == uid);
        rows.map(|row| (row["Email"].clone(), row["HasOptedOutOfEmail"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(said(&ann), [(json!("ann at example.org"), json!(true))], "{:?}", town.outcomes());
    assert_eq!(said(&bea), [(json!(address("bea")), json!(false))], "who stays gets their own back");

    // Of whom no address is known at either side, the record is there, too; and it isn't anybody's whose UID looks like it.
    let (esp, audience) = connection(&town);
    sim.create("Contact", json!({ "LastName": "C", "Email": "?", "Gigya_UID__c": "uid-Cid" }));
    for (uid, is_there) in [("uid-Cid", true), ("uid-cid", false)] {
        let uid = Uid::new(uid).unwrap();
        let cid = Email::parse(&address("cid")).unwrap();
        for addresses in [Vec::new(), vec![&cid]] {
            let found = esp.find(&audience, &Whom { uids: vec![&uid], addresses, fields: &[] }, soon()).await.unwrap();
            assert_eq!(found.len(), usize::from(is_there));
        }
    }
}

/// Gigya's opt-out is forwarded late, so what the gateway writes beside it is later than it was. Then somebody, or an import, unticks
/// the box and leaves the time as it is: that is nobody's opt-in.
#[tokio::test]
async fn a_box_unticked_by_hand_is_no_opt_in_of_the_time_that_the_gateway_wrote() {
    let settings = SalesforceSettings {
        keeps_time: false,
        lines: "consent_time_field = \"Consent_Time__c\"".to_owned(),
        ..of_route("accept_opt_ins = true")
    };
    let (mut town, sim) = town(settings).await;
    town.sandbox.clock.advance(SignedDuration::from_hours(-1));
    let uid = town.subscriber("ann").await;
    town.esp().faults().set_down(true);
    town.sandbox.gigya.unsubscribe(&uid, "newsletter");
    town.sandbox.clock.advance(SignedDuration::from_mins(59));
    town.esp().faults().set_down(false);
    town.quiet().await;
    assert!(!town.mails("ann"), "{:?}", town.outcomes());
    let id = id_of(&sim, "ann");
    assert!(sim.at(&address("ann"))[0]["Consent_Time__c"].is_string());
    sim.edit(&id, json!({ "HasOptedOutOfEmail": false }));
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(false), "{:?}", town.outcomes());
    town.sandbox.gigya.fire_update_of(&uid);
    town.quiet().await;
    assert!(!town.mails("ann"), "{:?}", town.outcomes());

    // A page that asks for consent, and says when it was given, does.
    let now = || town.sandbox.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
    town.sandbox.clock.advance(SignedDuration::from_secs(30));
    sim.edit(&id, json!({ "HasOptedOutOfEmail": false, "Consent_Time__c": now() }));
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(true), "{:?}", town.outcomes());
    assert!(town.mails("ann"));
}
