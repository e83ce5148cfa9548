//! Campaign Monitor's callback, JSON or XML by its first character.

#![no_main]

use fuzzing::{Answers, CALLBACK_TOKEN, deadline, esp, json_of, run, says_only_where};
use gigya_esp_gateway::domain::Email;
use gigya_esp_gateway::esp::{Esp, NotTaken, Notice, Received, What};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

static ESP: LazyLock<Arc<dyn Esp>> = LazyLock::new(|| esp("news", Arc::new(Answers::default()).transport()));

fn receive(token: &str, body: &[u8]) -> Result<Vec<Notice>, NotTaken> {
    let received = run(ESP.receive(Some(&token.into()), &HeaderMap::new(), body, deadline()));
    received.map(|received| match received {
        Received::Notices(notices) => notices,
        Received::Handshake => panic!("there is none"),
    })
}

fuzz_target!(|body: &[u8]| {
    assert_eq!(receive("another-token-than-ours", body).err(), Some(NotTaken::NotVerified("token_wrong")));
    match receive(CALLBACK_TOKEN, body) {
        Err(NotTaken::Malformed(what)) => {
            assert!(says_only_where(&what), "{what}");
            assert!(!json_of(body).is_some_and(|value| somebody_leaves(&value)), "refused with an opt-out in it");
        }
        Err(other) => panic!("the token is right, and {other:?}"),
        Ok(notices) => {
            for notice in &notices {
                assert!(notice.id.len() == 24 && notice.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
                assert_eq!(notice.audiences.len(), 1);
            }
            if let Some(value) = json_of(body) {
                are_told_in_full(&value, &notices);
            } else if body.trim_ascii_start().first() == Some(&b'<') {
                assert_eq!(events_in(body), Some(notices.len()), "an event got lost");
            }
        }
    }
});

/// Whether an event is an opt-out by itself, and isn't heard beside the others.
fn somebody_leaves(value: &Value) -> bool {
    let Some(events) = value["Events"].as_array() else { return false };
    let is_out = |notices: &[Notice]| {
        notices.iter().any(|notice| notice.news.as_ref().is_ok_and(|news| matches!(news.what, What::OptedOut { .. })))
    };
    let taken = |events: Vec<Value>| {
        let mut body = value.clone();
        body["Events"] = events.into();
        receive(CALLBACK_TOKEN, body.to_string().as_bytes())
    };
    taken(events.clone()).is_err()
        && events.iter().any(|event| taken(vec![event.clone()]).is_ok_and(|told| is_out(&told)))
}

fn are_told_in_full(value: &Value, notices: &[Notice]) {
    // To serde, a callback may be a list of its members, too.
    let Some(sent) = value["Events"].as_array() else { return };
    assert_eq!(sent.len(), notices.len(), "an event got lost");
    // Written anew, no key is there twice.
    let Ok(notices) = receive(CALLBACK_TOKEN, value.to_string().as_bytes()) else { panic!("it says the same") };
    for (sent, notice) in sent.iter().zip(&notices).filter(|(sent, _)| is_event_of_theirs(sent)) {
        let text = |key: &str| sent[key].as_str().unwrap_or_default();
        assert_eq!(Email::parse(text("EmailAddress")).is_ok(), notice.news.is_ok());
        let is_out = text("Type") == "Deactivate" && !text("State").eq_ignore_ascii_case("active");
        if let Ok(news) = &notice.news {
            assert_eq!(is_out, matches!(news.what, What::OptedOut { .. }), "{:?}", news.what);
        }
    }
    // The same events as XML are the same news.
    let Some(xml) = as_xml(value).filter(|_| sent.iter().all(is_event_of_theirs)) else { return };
    let from_xml = receive(CALLBACK_TOKEN, xml.as_bytes());
    let from_xml = from_xml.unwrap_or_else(|error| panic!("{error:?}: {xml}"));
    assert_eq!(format!("{notices:?}"), format!("{from_xml:?}"), "{xml}");
    for (json, xml) in notices.iter().zip(&from_xml) {
        let (Ok(json), Ok(xml)) = (&json.news, &xml.news) else { continue };
        let exposed = |news: &gigya_esp_gateway::esp::News| {
            let former = news.former_address.as_ref().map(|former| former.expose().to_owned());
            (news.address.expose().to_owned(), former, news.uid.as_ref().map(|uid| uid.expose().to_owned()))
        };
        assert_eq!(exposed(json), exposed(xml));
    }
}

/// Whether an event has what it must have, and all of it as text.
fn is_event_of_theirs(sent: &Value) -> bool {
    let is_text = |value: &Value| value.is_null() || value.is_string();
    let is_field = |field: &Value| field["Key"].is_string() && field.is_object() && is_text(&field["Value"]);
    let fields = &sent["CustomFields"];
    sent["Type"].is_string()
        && ["Date", "EmailAddress", "OldEmailAddress", "State"].iter().all(|name| is_text(&sent[*name]))
        && (fields.is_null() || fields.as_array().is_some_and(|fields| fields.iter().all(is_field)))
}

/// A callback as XML; `None` if it holds what XML can't.
fn as_xml(value: &Value) -> Option<String> {
    let mut xml = String::from("<Webhook>");
    element(&mut xml, "ListID", &value["ListID"])?;
    xml.push_str("<Events>");
    for event in value["Events"].as_array()? {
        xml.push_str("<Event>");
        for name in ["Type", "Date", "EmailAddress", "OldEmailAddress", "State"] {
            element(&mut xml, name, &event[name])?;
        }
        if let Some(fields) = event["CustomFields"].as_array() {
            xml.push_str("<CustomFields>");
            for field in fields {
                xml.push_str("<CustomField>");
                element(&mut xml, "Key", &field["Key"])?;
                element(&mut xml, "Value", &field["Value"])?;
                xml.push_str("</CustomField>");
            }
            xml.push_str("</CustomFields>");
        }
        xml.push_str("</Event>");
    }
    xml.push_str("</Events></Webhook>");
    Some(xml)
}

fn element(xml: &mut String, name: &str, value: &Value) -> Option<()> {
    if value.is_null() {
        return Some(());
    }
    let text = value.as_str()?;
    let fits = |c: char| matches!(c, '\t' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    // White space around a text is an XML parser's to drop.
    if !text.chars().all(fits) || text.trim() != text {
        return None;
    }
    write!(xml, "<{name}>{}</{name}>", quick_xml::escape::escape(text)).ok()
}

/// How many elements `Event` are in an element `Events` in the outermost one.
fn events_in(body: &[u8]) -> Option<usize> {
    let (mut reader, mut path, mut count) = (Reader::from_reader(body), Vec::new(), 0);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                count += usize::from(is_event(&path));
            }
            Event::Empty(empty) => {
                path.push(empty.local_name().as_ref().to_owned());
                count += usize::from(is_event(&path));
                path.pop();
            }
            Event::End(_) if path.len() == 1 => return Some(count),
            Event::End(_) => drop(path.pop()),
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn is_event(path: &[String]) -> bool {
    matches!(path, [_, events, event] if events == "Events" && event == "Event")
}
