use super::*;
use crate::config::{Config, Esp};
use crate::domain::{ActedAt, OptOutReason};
use http::header;
use std::path::Path;

const CALLBACK: &str = r#"
verify = "token"
events = "/events"
type = "/type"
kinds = [
    { equals = "unsubscribe", also = [{ pointer = "/why", equals = "abuse" }], means = "opted_out", reason = "complained" },
    { equals = ["unsubscribe", "unsubscribed"], means = "opted_out" },
    { equals = "subscribe", means = "opted_in" },
    { equals = "profile", means = "changed" },
    { equals = "merged", means = "look" },
    { equals = "opened", means = "ignored" },
]
id = "/id"
address = "/email"
former_address = "/old"
uid = "/uid"
audience = "/list"
time = [{ pointer = "/at", format = "unix" }, { pointer = "/local", format = "unix", doubt = "2h" }]
"#;

fn settings(callback: &str) -> Settings {
    let text = format!(
        r#"
[gigya.main]
api_keys = ["4_A"]
data_center = "eu1.gigya.com"
user_key = "A"
secret = {{ env = "S" }}
[http.mail]
base_url = "https://api.example.com"
callback_secrets = [{{ env = "T" }}]
[http.mail.read]
path = "/p/{{email}}"
states = [{{ pointer = "/s", equals = "in", means = "opted_in" }}]
[http.mail.subscribe]
path = "/p/{{email}}"
[http.mail.unsubscribe]
path = "/p/{{email}}/stop"
[http.mail.callback]
{callback}
[[route]]
subscription = "main/a"
audience = "mail/1"
[[route]]
subscription = "main/b"
audience = "mail/2"
"#
    );
    let environment = [("S", "c2VjcmV0"), ("T", "a-long-callback-token")].into_iter().collect();
    let config = Config::parse(&text, Path::new("x.toml"), &environment).unwrap();
    match config.esps.into_values().next().unwrap() {
        Esp::Http(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

fn take_as(callback: &str, media_type: Option<&str>, body: &str) -> Result<Vec<Notice>, NotTaken> {
    let mut headers = HeaderMap::new();
    if let Some(media_type) = media_type {
        headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
    }
    let token = SecretString::from("a-long-callback-token");
    receive(&settings(callback), Some(&token), &headers, body.as_bytes())
}

fn take(body: &str) -> Result<Vec<Notice>, NotTaken> {
    take_as(CALLBACK, Some("application/json"), body)
}

fn one(event: &str) -> Notice {
    let mut notices = take(&format!(r#"{{"events":[{event}]}}"#)).unwrap();
    assert_eq!(notices.len(), 1, "{event}");
    notices.remove(0)
}

fn what(event: &str) -> Result<What, Outcome> {
    one(event).news.map(|news| news.what)
}

fn audiences(notice: &Notice) -> Vec<&str> {
    notice.audiences.iter().map(Audience::as_str).collect()
}

#[test]
fn events_are_told_by_the_first_rule_that_fits() {
    let at = |second: i64| {
        let second = Timestamp::from_second(second).unwrap();
        ActedAt::between(second, second.checked_add(jiff::SignedDuration::from_millis(999)).unwrap())
    };
    let out = |at, reason| Ok(What::OptedOut { at, reason });
    let with = |kind: &str, more: &str| what(&format!(r#"{{"type":"{kind}","email":"a@x.org"{more}}}"#));
    assert_eq!(with("unsubscribe", r#","at":1000000009"#), out(at(1_000_000_009), OptOutReason::Unsubscribed));
    assert_eq!(with("unsubscribed", ""), out(ActedAt::UNKNOWN, OptOutReason::Unsubscribed));
    assert_eq!(with("unsubscribe", r#","why":"abuse""#), out(ActedAt::UNKNOWN, OptOutReason::Complained));
    let doubtful = at(1_000_090_000).or_earlier_by(jiff::SignedDuration::from_hours(2));
    assert_eq!(with("unsubscribe", r#","local":1000090000"#), out(doubtful, OptOutReason::Unsubscribed));
    assert_eq!(with("subscribe", r#","at":"1000000009","local":1"#), Ok(What::OptedIn { at: at(1_000_000_009) }));
    assert_eq!(with("profile", ""), Ok(What::Changed { opted_in: true }));
    assert_eq!(with("merged", ""), Ok(What::Changed { opted_in: false }));
    assert_eq!(with("opened", ""), Err(Outcome::Skipped(Reason::EventTypeIgnored)));
}

#[test]
fn a_rule_may_be_about_everything_and_an_address_in_one_of_several_places() {
    let callback = CALLBACK.replace("means = \"look\"", "means = \"look\", everywhere = true");
    let callback = callback.replace("address = \"/email\"", "address = [\"/email\", \"/new\"]");
    let told = |event: &str| take_as(&callback, None, &format!(r#"{{"events":[{event}]}}"#)).unwrap().remove(0);
    let notice = told(r#"{"type":"merged","list":2,"email":null,"new":"b@x.org"}"#);
    assert_eq!((audiences(&notice), notice.news.as_ref().unwrap().address.expose()), (vec!["1", "2"], "b@x.org"));
    let notice = told(r#"{"type":"profile","list":2,"email":"a@x.org","new":"b@x.org"}"#);
    assert_eq!((audiences(&notice), notice.news.as_ref().unwrap().address.expose()), (vec!["2"], "a@x.org"));
}

#[test]
fn what_no_rule_knows_is_kept_for_a_person() {
    for event in [
        r#"{"type":"left_forever","email":"a@x.org"}"#,
        "{}",
        "7",
        r#"{"type":"unsubscribe"}"#,
        r#"{"type":"unsubscribe","email":"nobody"}"#,
    ] {
        let events = format!(r#"{{"events":[{event},{{"type":"opened"}}]}}"#);
        let notice = take(&events).unwrap().remove(0);
        assert_eq!(notice.news.unwrap_err(), Outcome::Rejected(Reason::Malformed), "{event}");
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(notice.said.as_deref().map(json), Some(json(event)));
        assert_eq!(notice.audiences.len(), 2);
    }
}

#[test]
fn an_event_is_about_the_audiences_that_it_names_or_about_all() {
    let about = |list: &str| one(&format!(r#"{{"type":"unsubscribe","email":"a@x.org","list":{list}}}"#));
    assert_eq!(audiences(&about("1")), ["1"]);
    assert_eq!(audiences(&about("\"2\"")), ["2"]);
    assert_eq!(audiences(&about("[1,2,3]")), ["1", "2"]);
    assert_eq!(audiences(&about("null")), ["1", "2"]);
    let elsewhere = about("3");
    assert_eq!((audiences(&elsewhere).len(), elsewhere.news.unwrap_err()), (0, Outcome::Skipped(Reason::NoRoute)));
}

#[test]
fn one_event_may_be_about_several_addresses() {
    let body = r#"{"events":[{"type":"unsubscribe","id":"e","email":["a@x.org","b@x.org"]}]}"#;
    let notices = take(body).unwrap();
    let told: Vec<_> =
        notices.iter().map(|notice| (notice.id.as_str(), notice.news.as_ref().unwrap().address.expose())).collect();
    assert_eq!(told, [("e-0", "a@x.org"), ("e-1", "b@x.org")]);
}

#[test]
fn an_id_has_no_address_in_it() {
    let of = |event: &str| one(event).id;
    assert_eq!(of(r#"{"type":"opened","id":7}"#), "7");
    let made = of(r#"{"type":"opened","id":"a@x.org"}"#);
    assert_eq!(made.len(), 24);
    assert_eq!(made, of(r#"{"type":"opened","id":"a@x.org"}"#));
    assert_ne!(made, of(r#"{"type":"opened","id":"b@x.org"}"#));
}

#[test]
fn forms_are_events_of_their_names() {
    let callback = CALLBACK
        .replace("events = \"/events\"\n", "body = \"form\"\n")
        .replace("address = \"/email\"", "address = \"/data[email]\"");
    let form = Some("application/x-www-form-urlencoded; charset=utf-8");
    let notices =
        take_as(&callback, form, "type=unsubscribe&data%5Bemail%5D=a%2Bb%40x.org&data%5Bemail%5D=c%40x.org&list=1")
            .unwrap();
    assert_eq!(notices[0].news.as_ref().unwrap().address.expose(), "a+b@x.org");
    assert_eq!(audiences(&notices[0]), ["1"]);
    assert!(matches!(take_as(&callback, Some("application/json"), "{}"), Err(NotTaken::MediaType)));
    assert!(matches!(take_as(&callback, form, ""), Err(NotTaken::Malformed(_))));
}

#[test]
fn what_is_no_callback_is_refused_without_quoting_it() {
    for body in ["", "canary@x.org", "{}", "[]x", r#"{"events":"canary@x.org"}"#, r#"{"events":["canary@x.org"]}"#, "7"]
    {
        match take(body) {
            Err(NotTaken::Malformed(what)) => assert!(!what.contains("canary"), "{what}"),
            other => panic!("{other:?} for {body}"),
        }
    }
    assert_eq!(take(r#"{"events":[]}"#).unwrap().len(), 0);
    assert!(matches!(take_as(CALLBACK, Some("text/plain"), "{}"), Err(NotTaken::MediaType)));
}

#[test]
fn the_secret_must_be_right() {
    let said = |token: Option<&str>| {
        let token = token.map(SecretString::from);
        receive(&settings(CALLBACK), token.as_ref(), &HeaderMap::new(), br#"{"events":[]}"#).err()
    };
    assert_eq!(said(Some("a-long-callback-token")), None);
    assert_eq!(said(None), Some(NotTaken::NotVerified("token_missing")));
    assert_eq!(said(Some("another-callback-token")), Some(NotTaken::NotVerified("token_wrong")));
}
