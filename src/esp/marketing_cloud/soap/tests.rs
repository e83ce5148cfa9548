use super::*;

const SUBSCRIBERS: &str = include_str!("../../../../tests/fixtures/marketing_cloud/subscribers.xml");
const ROWS: &str = include_str!("../../../../tests/fixtures/marketing_cloud/rows.xml");

fn judged(status: u16, body: &str, action: Action) -> Verdict<Answer> {
    let response = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
    judge("marketing-cloud/crm/soap", "test", action, &response)
}

fn message(body: &str) -> Message {
    match judged(200, body, Action::Retrieve) {
        Verdict::Answer(Answer::Done(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn envelope_of(body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
        xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body>{body}</soap:Body></soap:Envelope>"#
    )
}

fn result(response: &str, status: &str, code: &str, overall: &str) -> String {
    envelope_of(&format!(
        r#"<{response} xmlns="http://exacttarget.com/wsdl/partnerAPI"><Results xsi:type="Any">
        <StatusCode>{status}</StatusCode><StatusMessage>canary</StatusMessage><OrdinalID>0</OrdinalID>
        <ErrorCode>{code}</ErrorCode><NewID>0</NewID></Results><RequestID>r</RequestID>
        <OverallStatus>{overall}</OverallStatus></{response}>"#
    ))
}

fn fault(code: &str, text: &str, detail: &str) -> String {
    envelope_of(&format!(
        "<soap:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring>{detail}</soap:Fault>"
    ))
}

#[test]
fn subscribers_are_read_with_their_attributes() {
    let message = message(SUBSCRIBERS);
    assert!(message.has_more());
    assert_eq!(message.request_id, "2b4c-7");
    let [ann, ben] = message.results.as_slice() else { panic!("{message:?}") };
    assert_eq!(ann.id.as_deref(), Some("178363503"));
    assert_eq!(ann.subscriber_key.as_deref(), Some("u-ann"));
    assert_eq!(ann.unsubscribed_date.as_deref(), Some("2025-11-24T10:00:00.123"));
    let attributes: Vec<_> =
        ann.attributes.iter().map(|pair| (pair.name.as_str(), pair.value.as_deref().unwrap_or(""))).collect();
    assert_eq!(attributes, [("First Name", "Ann & Co"), ("Gigya UID", "u-ann"), ("Last Name", "")]);
    assert_eq!((ben.status.as_deref(), ben.unsubscribed_date.as_deref()), (Some("Active"), None));
}

#[test]
fn rows_are_read_as_columns() {
    let message = message(ROWS);
    assert!(!message.has_more());
    let columns = &message.results[0].properties.property;
    assert_eq!(columns.len(), 3);
    assert_eq!((columns[1].name.as_str(), columns[1].value.as_deref()), ("OptIn", Some("True")));
}

/// Codes by object; the texts beside them may quote what was sent, and are not read.
#[test]
fn what_became_of_an_object_is_sorted() {
    let cases = [
        ("CreateResponse", "12014", Written::AlreadyThere),
        ("UpdateResponse", "12001", Written::NotThere),
        ("UpdateResponse", "12015", Written::NotThere),
        ("DeleteResponse", "12009", Written::NotThere),
        ("UpdateResponse", "13007", Written::NotThere),
        ("UpdateResponse", "13006", Written::AlreadyThere),
        ("UpdateResponse", "13000", Written::NoSuchList),
        ("UpdateResponse", "12012", Written::AlreadyOut),
        ("ExecuteResponseMsg", "401", Written::AlreadyOut),
        ("CreateResponse", "12003", Written::Held),
        ("CreateResponse", "12000", Written::Refused { code: 12000 }),
        ("CreateResponse", "12002", Written::Refused { code: 12002 }),
        ("CreateResponse", "12004", Written::Refused { code: 12004 }),
        ("CreateResponse", "12006", Written::Refused { code: 12006 }),
        ("CreateResponse", "12007", Written::Refused { code: 12007 }),
        ("CreateResponse", "12011", Written::Refused { code: 12011 }),
        ("CreateResponse", "12021", Written::Refused { code: 12021 }),
        ("CreateResponse", "14003", Written::Refused { code: 14003 }),
        ("ExecuteResponseMsg", "405", Written::Refused { code: 405 }),
    ];
    for (response, code, expected) in cases {
        match judged(200, &result(response, "Error", code, "Error"), Action::Create) {
            Verdict::Answer(Answer::Done(message)) => assert_eq!(message.written(), Ok(expected), "{code}"),
            other => panic!("{code}: {other:?}"),
        }
    }
    for code in ["12008", "12010", "12018", "2", "99999", "", "canary"] {
        let verdict = judged(200, &result("UpdateResponse", "Error", code, "Has Errors"), Action::Update);
        assert!(matches!(verdict, Verdict::Again(Again::Busy { .. })), "{code}: {verdict:?}");
    }
    let done = judged(200, &result("CreateResponse", "OK", "0", "OK"), Action::Create);
    let Verdict::Answer(Answer::Done(message)) = done else { panic!("{done:?}") };
    assert_eq!(message.written(), Ok(Written::Done));
    // Nothing to delete is a success without a result.
    let nothing = envelope_of("<DeleteResponse><OverallStatus>OK</OverallStatus></DeleteResponse>");
    assert!(matches!(judged(200, &nothing, Action::Delete), Verdict::Answer(Answer::Done(_))));
}

#[test]
fn faults_and_other_answers_are_sorted() {
    let slow = "<detail><apifault xmlns=\"urn:fault.partner.exacttarget.com\"><Code>17</Code><Message>Rate Limited\
                </Message></apifault></detail>";
    let cases = [
        (500, fault("soap:Server", "Rate Limited", slow), "TooFast"),
        (500, fault("q0:Security", "Token Expired", ""), "TokenRefused"),
        (500, fault("soap:Client", "token expired", ""), "TokenRefused"),
        (500, fault("soap:Server", "Insufficient Privileges.", ""), "Configuration { code: 500 }"),
        (500, fault("soap:Server", "Something broke", ""), "Failing { code: 500 }"),
        (500, "not XML".to_owned(), "Failing { code: 500 }"),
        (503, String::new(), "Failing { code: 503 }"),
        (429, String::new(), "TooFast"),
        (400, "Bad Request".to_owned(), "Configuration { code: 400 }"),
        (401, String::new(), "TokenRefused"),
        (403, String::new(), "Configuration { code: 403 }"),
        (200, "<html>canary</html>".to_owned(), "answer_not_understood"),
        (200, envelope_of("<Other/>"), "answer_not_understood"),
        (200, String::new(), "answer_not_understood"),
    ];
    for (status, body, expected) in cases {
        let verdict = format!("{:?}", judged(status, &body, Action::Update));
        assert!(verdict.contains(expected), "{status} {body}: {verdict}");
        assert!(!verdict.contains("canary"));
    }
}

#[test]
fn an_unknown_property_is_told_from_other_errors() {
    let with = |overall: &str| {
        message(&envelope_of(&format!(
            "<RetrieveResponseMsg><OverallStatus>{overall}</OverallStatus><RequestID>r</RequestID></RetrieveResponseMsg>"
        )))
    };
    let unknown =
        with("Error: The Request Property(s) ModifiedDate do not match with the fields of ListSubscriber retrieve");
    assert!(unknown.is_error() && unknown.is_unknown_property());
    let other = with("Error: InsufficientPermissions");
    assert!(other.is_error() && !other.is_unknown_property());
    assert!(!with("OK").is_error());
}

#[test]
fn what_is_written_cannot_break_out_of_its_element() {
    assert_eq!(element("<a>&\"'\u{0}\u{1f}\u{ffff}ä😀"), "&lt;a&gt;&amp;&quot;&apos;ä😀");
    let filter = Filter::Or(
        Box::new(Filter::In("SubscriberKey", vec!["</Value><Value>x"])),
        Box::new(Filter::In("EmailAddress", vec!["a@b.c", "d@e.f"])),
    );
    let text = retrieve("Subscriber", &["ID"], Some(&filter), Some("r&1"));
    for expected in [
        "<ObjectType>Subscriber</ObjectType><ContinueRequest>r&amp;1</ContinueRequest><Properties>ID</Properties>",
        "<LeftOperand xsi:type=\"SimpleFilterPart\"><Property>SubscriberKey</Property><SimpleOperator>equals<",
        "<Value>&lt;/Value&gt;&lt;Value&gt;x</Value>",
        "<LogicalOperator>OR</LogicalOperator>",
        "<SimpleOperator>IN</SimpleOperator><Value>a@b.c</Value><Value>d@e.f</Value>",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}
