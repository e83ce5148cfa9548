//! Systems that answer wrongly: nobody is removed by it, and no list that breaks off is believed.

use crate::town::{FREELY, Town, compared, found, heal};
use async_trait::async_trait;
use bytes::Bytes;
use gigya_esp_gateway::esp;
use gigya_esp_gateway::forward::{Difference, Gateway};
use gigya_esp_gateway::reconcile::CompareError;
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::State;
use gigya_esp_gateway::upstream::{Deadline, Fault, HttpTransport, Transport, TransportError, WallClock};
use http::{Request, Response};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Answer = dyn Fn(&Request<Bytes>) -> String + Send + Sync;

/// The network, but for the answers to one path.
struct Bent {
    real: HttpTransport,
    path: &'static str,
    answer: Box<Answer>,
}

#[async_trait]
impl Transport for Bent {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        if request.uri().path().contains(self.path) {
            return Ok(Response::new((self.answer)(&request).into()));
        }
        self.real.send(request, timeout).await
    }
}

fn bent(path: &'static str, answer: impl Fn(&Request<Bytes>) -> String + Send + Sync + 'static) -> Arc<dyn Transport> {
    Arc::new(Bent { real: HttpTransport::new().unwrap(), path, answer: Box::new(answer) })
}

fn gateway(town: &Town, transport: &Arc<dyn Transport>) -> Gateway {
    let mut config = town.config.clone();
    config.reconcile.calls_per_minute = 10_000_000;
    let clock = town.sandbox.clock.clone();
    let clock = WallClock::of(move || clock.now());
    Gateway::new(&config.at_the_pace_of_reconcile(), transport, &clock).unwrap()
}

/// With the wrong keys, or a proxy that answers by itself: no account can be read, or none is in the answer.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_removed_who_was_not_found_to_be_gone() {
    for answer in [r#"{"errorCode":403047,"callId":"1"}"#, r#"{"errorCode":0,"callId":"1"}"#] {
        let town = Town::without_gateway(Setup::default()).await;
        let names: Vec<String> = (0..12).map(|one| format!("person-{one}")).collect();
        let mut uids = Vec::new();
        for name in &names {
            uids.push(town.subscriber(name).await);
        }
        for uid in &uids {
            town.sandbox.gigya.set_profile(uid, "firstName", json!("Anna"));
        }
        let (plan, mut tally) = compared(&town.gateway(), &Town::scope()).await.unwrap();
        assert_eq!(found(&tally), [(Difference::WrongFields, 12)]);
        let broken = gateway(&town, &bent("accounts.getAccountInfo", move |_| answer.to_owned()));
        heal(&broken, plan, &FREELY, &mut tally).await;
        assert_eq!((tally.settled, tally.left), (0, 12), "{answer}: {:?}", tally.healed);
        assert!(names.iter().all(|name| town.esp(name) == Some(State::Active)), "{answer}");
    }
}

/// Nor who seemed to be gone, on the word of an answer that isn't about them.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_account_is_not_that_there_is_none() {
    let town = Town::without_gateway(Setup::default()).await;
    let ann = town.subscriber("ann").await;
    town.sandbox.gigya.delete(&ann);
    let (plan, mut tally) = compared(&town.gateway(), &Town::scope()).await.unwrap();
    assert_eq!(found(&tally), [(Difference::Orphan, 1)]);
    let broken = gateway(&town, &bent("accounts.getAccountInfo", |_| r#"{"errorCode":0,"callId":"1"}"#.to_owned()));
    heal(&broken, plan, &FREELY, &mut tally).await;
    assert_eq!((tally.left, town.esp("ann")), (1, Some(State::Active)));
}

/// A page of 1,000, of so many, as the list tells it.
fn page(members: serde_json::Value, rows: usize) -> String {
    let row = |row| json!({ "EmailAddress": format!("person-{row}@example.org"), "State": "Active", "Date": "2026-01-01 00:00:00" });
    let mut page = members;
    page["Results"] = (0..rows).map(row).collect();
    page.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_breaks_off_is_no_list() {
    let town = Town::without_gateway(Setup::default()).await;
    let connection = town.config.esps.values().next().unwrap();
    let audience = town.config.routes[0].audience.clone();
    let broken = [
        page(json!({ "TotalNumberOfRecords": 2_500 }), 1_000),
        page(json!({ "NumberOfPages": 1, "TotalNumberOfRecords": 2_500 }), 1_000),
        page(json!({ "NumberOfPages": 3, "TotalNumberOfRecords": 2_500 }), 0),
        r#"{"NumberOfPages":1,"TotalNumberOfRecords":0}"#.to_owned(),
        "{}".to_owned(),
        "<html>".to_owned(),
    ];
    for body in broken {
        let told = body.clone();
        let esp = esp::connect(connection, bent("/active.json", move |_| told.clone()));
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(8));
        let listed = esp.list(&audience, None, deadline).await;
        let body = body.get(..80).unwrap_or(&body);
        assert!(matches!(listed, Err(Fault::Unavailable { .. })), "{body}: {listed:?}");
    }
    // Somebody left while it was read.
    let esp = esp::connect(
        connection,
        bent("/active.json", |_| page(json!({ "NumberOfPages": 1, "TotalNumberOfRecords": 1_005 }), 1_000)),
    );
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(8));
    assert_eq!(esp.list(&audience, None, deadline).await.unwrap().parts.len(), 1_000);
}

/// A cursor that leads to the same page for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_does_not_end_is_given_up() {
    let town = Town::without_gateway(Setup::default()).await;
    let rows: Vec<_> = (0..1_000).map(|row| json!({ "UID": format!("u-{row}") })).collect();
    let answer = json!({ "errorCode": 0, "totalCount": 1_500, "nextCursorId": "again", "results": rows }).to_string();
    let broken = gateway(&town, &bent("accounts.search", move |_| answer.clone()));
    let error = compared(&broken, &Town::scope()).await.err().unwrap();
    assert!(matches!(error, CompareError::Endless { .. }), "{error}");
}
