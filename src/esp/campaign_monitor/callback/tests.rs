use super::*;
use crate::domain::OptOutReason;
use crate::esp::campaign_monitor::wire::tests::settings;
use http::HeaderValue;

const TOKEN: &str = "a-long-callback-token-0123456789";
/// Shape: vendor page "Webhooks"; names of states from its staff's answers.
const JSON: &str = include_str!("../../../../tests/fixtures/campaign_monitor/callback.json");
/// The same in XML; the vendor documents no element names.
const XML: &str = include_str!("../../../../tests/fixtures/campaign_monitor/callback.xml");

fn take(content_type: Option<&str>, body: &str) -> Result<Vec<Notice>, NotTaken> {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    receive(&settings(), Some(&TOKEN.into()), &headers, body.as_bytes())
}

fn at(first: &str, last: &str) -> crate::domain::ActedAt {
    crate::domain::ActedAt::between(first.parse().unwrap(), last.parse().unwrap())
}

fn check(notices: &[Notice]) {
    let news: Vec<_> = notices.iter().map(|notice| notice.news.as_ref().ok()).collect();
    let what: Vec<_> = news.iter().map(|news| news.map(|news| news.what)).collect();
    let out = |reason| Some(What::OptedOut { at: at("2026-01-14T10:50:00Z", "2026-01-14T10:50:00.999Z"), reason });
    let expected = [
        Some(What::OptedIn { at: at("2026-01-14T10:32:00Z", "2026-01-14T10:32:00.999Z") }),
        Some(What::Changed { opted_in: true }),
        out(OptOutReason::Unsubscribed),
        out(OptOutReason::Bounced),
        out(OptOutReason::Deleted),
        Some(What::Changed { opted_in: false }),
        out(OptOutReason::Other),
        None,
    ];
    assert_eq!(what, expected);
    let moved = news[1].unwrap();
    assert_eq!(moved.former_address.as_ref().unwrap().expose(), "a@example.org");
    assert_eq!(moved.uid.as_ref().unwrap().expose(), "u-1");
    assert_eq!(news[5].unwrap().former_address, None, "the same address is no former one");
    assert!(notices.iter().all(|notice| notice.audiences == [Audience::new("0123456789abcdef0123456789abcdef")]));
}

#[test]
fn json_and_xml_say_the_same() {
    check(&take(Some("application/json; charset=utf-8"), JSON).unwrap());
    check(&take(Some("text/xml"), XML).unwrap());
}

#[test]
fn without_a_content_type_the_body_tells() {
    check(&take(None, JSON).unwrap());
    check(&take(None, XML).unwrap());
}

#[test]
fn other_media_types_are_not_taken() {
    for other in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        assert!(matches!(take(Some(other), JSON), Err(NotTaken::MediaType)), "{other}");
    }
}

#[test]
fn the_token_must_be_right() {
    let with = |token: Option<&str>| {
        let token = token.map(SecretString::from);
        receive(&settings(), token.as_ref(), &HeaderMap::new(), JSON.as_bytes()).map(|notices| notices.len())
    };
    assert_eq!(with(Some(TOKEN)), Ok(8));
    assert_eq!(with(None), Err(NotTaken::NotVerified("token_missing")));
    for wrong in ["", "a-long-callback-token-012345678", "a-long-callback-token-01234567890", &"x".repeat(100_000)] {
        assert_eq!(with(Some(wrong)), Err(NotTaken::NotVerified("token_wrong")));
    }
}

#[test]
fn an_event_has_the_same_id_when_it_comes_again_and_no_address_in_it() {
    let (once, again) = (take(None, JSON).unwrap(), take(None, JSON).unwrap());
    for (index, (a, b)) in once.iter().zip(&again).enumerate() {
        assert_eq!(a.id, b.id);
        assert_eq!(a.id.len(), 24);
        assert!(once.iter().enumerate().all(|(other, notice)| other == index || notice.id != a.id));
    }
}

#[test]
fn what_is_no_callback_is_refused_without_quoting_it() {
    let deep = format!("<a>{}", "<b>".repeat(100_000));
    let cases = [
        "",
        "canary@example.org",
        "{}",
        r#"{"ListID":"l"}"#,
        r#"{"ListID":"l","Events":"canary@example.org"}"#,
        r#"{"ListID":"l","Events":[],"ListID":"m"}"#,
        "<Webhook>canary@example.org",
        "<Webhook><Events/></Webhook>",
        &deep,
        r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><W><ListID>&e;</ListID><Events/></W>"#,
        r#"{"ListID":"l","Events":[{"EmailAddress":"canary@example.org"}]}"#,
    ];
    for body in cases {
        match take(None, body) {
            Err(NotTaken::Malformed(what)) => assert!(!what.contains("canary"), "{what}"),
            other => panic!("{other:?} for {}", &body[..body.len().min(60)]),
        }
    }
}

#[test]
fn what_is_no_event_spoils_no_other() {
    let out = r#"{"Type":"Deactivate","EmailAddress":"a@example.org","State":"Unsubscribed","CustomFields":[{"Key":"x","Value":null}]}"#;
    for none in ["7", "null", "[]", "{}", r#"{"EmailAddress":"a@example.org"}"#, r#"{"Type":"Deactivate","State":7}"#] {
        let notices = take(None, &format!(r#"{{"ListID":"l","Events":[{none},{out}]}}"#)).unwrap();
        assert_eq!(notices[0].news.as_ref().err(), Some(&Outcome::Rejected(Reason::Malformed)), "{none}");
        assert!(matches!(notices[1].news.as_ref().unwrap().what, What::OptedOut { .. }), "{none}");
        assert_ne!(notices[0].id, notices[1].id);
    }
}
