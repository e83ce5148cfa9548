use super::*;

const ID: &str = "0035e00000ZkM3hAAF";

fn message(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Body>\
         <notifications xmlns=\"http://soap.sforce.com/2005/09/outbound\">\
         <OrganizationId>00D5e000000KQ2eEAG</OrganizationId>{inner}</notifications></s:Body></s:Envelope>"
    )
}

fn notification(kind: &str, fields: &str) -> String {
    format!(
        "<Notification><Id>04l5e00000Gx7QzAAJ</Id><sObject xsi:type=\"sf:{kind}\" \
         xmlns:sf=\"urn:sobject.enterprise.soap.sforce.com\">{fields}</sObject></Notification>"
    )
}

fn events(inner: &str) -> Vec<Event> {
    parse_soap(message(inner).as_bytes()).map_err(|what| panic!("{what}")).unwrap().events
}

#[test]
fn a_message_names_its_organization_and_its_records() {
    let fields = format!("<sf:Id>{ID}</sf:Id><sf:Email>a&amp;b&#64;example.org</sf:Email><sf:X xsi:nil=\"true\"/>");
    let read = parse_soap(message(&notification("Contact", &fields).repeat(2)).as_bytes());
    let Ok(read) = read else { panic!("this is a message") };
    assert_eq!((read.organization.as_str(), read.events.len()), ("00D5e000000KQ2eEAG", 2));
    let event = &read.events[0];
    assert_eq!(event.object, Some(SalesforceObject::Contact));
    assert_eq!((event.id.as_str(), event.record.as_deref()), ("04l5e00000Gx7QzAAJ", Some(ID)));
    assert_eq!(event.fields.get("Email").map(String::as_str), Some("a&b@example.org"));
    assert_eq!(event.fields.get("X").map(String::as_str), Some(""));
}

#[test]
fn the_first_of_a_field_counts_and_what_is_no_id_is_none() {
    let twice = format!("<sf:Id>{ID}</sf:Id><sf:Email>a@example.org</sf:Email><sf:Email>b@example.org</sf:Email>");
    assert_eq!(
        events(&notification("Contact", &twice))[0].fields.get("Email").map(String::as_str),
        Some("a@example.org")
    );
    let odd = events(&notification("Contact", "<sf:Id>x' OR Id != '</sf:Id>"));
    assert_eq!(odd[0].record, None);
    assert_eq!(events(&notification("Opportunity", &format!("<sf:Id>{ID}</sf:Id>")))[0].object, None);
}

#[test]
fn what_is_not_a_message_is_refused() {
    let good = message(&notification("Contact", &format!("<sf:Id>{ID}</sf:Id>")));
    assert!(parse_soap(good.as_bytes()).is_ok());
    let doctype = good.replacen("?>", "?><!DOCTYPE a [<!ENTITY a \"b\">]>", 1);
    let deep = message(&format!("{}{}", "<a>".repeat(40), "</a>".repeat(40)));
    let many = message(&notification("Contact", "").repeat(MOST + 1));
    let elsewhere = good.replace("2005/09/outbound", "2005/09/inbound");
    let nobody = good.replace("OrganizationId", "Organization");
    for body in [
        "",
        "x",
        "{}",
        "<a/>",
        &doctype,
        &deep,
        &many,
        &elsewhere,
        &nobody,
        &good[..good.len() - 5],
        &good.replace("04l5", "&a;"),
        &good.replace("04l5", "&a"),
    ] {
        assert!(parse_soap(body.as_bytes()).is_err(), "{body:.120}");
    }
    assert!(parse_soap(b"\xff\xfe").is_err());
}

#[test]
fn an_object_is_named_without_regard_to_case_and_what_another_was_called_is_kept() {
    for (named, object) in [
        ("Contact", Some(SalesforceObject::Contact)),
        ("contact", Some(SalesforceObject::Contact)),
        (" LEAD ", Some(SalesforceObject::Lead)),
        ("Account", Some(SalesforceObject::PersonAccount)),
        ("personAccount", Some(SalesforceObject::PersonAccount)),
        ("Contacts", None),
        ("", None),
    ] {
        let body = format!(r#"{{"object":"{named}","id":"{ID}"}}"#);
        let read = parse_json(body.as_bytes(), None).unwrap().remove(0);
        assert_eq!((read.object, read.record.as_deref()), (object, Some(ID)), "{named}");
        assert!(read.said().contains(&format!("\"object\":\"{}\"", named.trim())), "{}", read.said());
    }
}

#[test]
fn json_is_one_record_or_a_list_of_them() {
    let one =
        format!(r#"{{"object":"Lead","id":"{ID}","fields":{{"Email":"a@example.org","HasOptedOutOfEmail":true}}}}"#);
    let read = parse_json(one.as_bytes(), None).unwrap();
    assert_eq!(read[0].object, Some(SalesforceObject::Lead));
    assert_eq!(read[0].fields.get("HasOptedOutOfEmail").map(String::as_str), Some("true"));
    assert!(!read[0].deleted && !read[0].id.contains('@'));
    let again = parse_json(format!("[{one},{{}},7]").as_bytes(), None).unwrap();
    assert_eq!(again[0].id, read[0].id);
    assert!(again[1].record.is_none() && again[2].record.is_none());
    for body in ["", "7", "null", "[", "\"x\""] {
        assert!(parse_json(body.as_bytes(), None).is_err(), "{body}");
    }
}
