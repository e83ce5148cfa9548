use super::*;

fn verdict(status: u16, body: &str) -> String {
    with_headers(status, body, &[])
}

fn with_headers(status: u16, body: &str, headers: &[(&str, &str)]) -> String {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let response = response.body(Bytes::from(body.to_owned())).unwrap();
    match judge("marketing-cloud/crm/rest", "test", &response) {
        Verdict::Answer(Answer::Done(_)) => "done".to_owned(),
        Verdict::Answer(answer) => format!("{answer:?}"),
        Verdict::Again(again) => format!("{again:?}"),
        Verdict::Fail(fault) => format!("{fault:?}"),
    }
}

/// Shapes of the documented error bodies; texts as captured by public clients.
#[test]
fn every_error_is_sorted() {
    let unable = r#"{"message":"Unable to save rows for data extension ID b4f","errorcode":10006,"documentation":""}"#;
    let inside = r#"{"message":"Unable to save rows for data extension ID b4f","errorcode":10006,"documentation":"",
        "additionalErrors":[{"message":"canary@ is not a valid email address. Parse error [InvalidEmailAddress]",
        "errorcode":10000,"documentation":""}]}"#;
    let key = r#"{"message":"Unable to save rows for data extension ID b4f","errorcode":10006,"documentation":"",
        "additionalErrors":[{"message":"Primary key 'Key' does not exist.","errorcode":10000,"documentation":""}]}"#;
    let with = |code: i64| format!(r#"{{"message":"m","errorcode":{code},"documentation":"d"}}"#);
    let (busy, refused, configuration) = (
        |code: i64| format!("Busy {{ code: {code} }}"),
        |code: i64| format!("Refused {{ code: {code} }}"),
        |code: i64| format!("Configuration {{ code: {code} }}"),
    );
    let cases = [
        (200, "[]".to_owned(), "done".to_owned()),
        (202, String::new(), "done".to_owned()),
        (400, unable.to_owned(), busy(10006)),
        (400, inside.to_owned(), refused(10006)),
        (400, key.to_owned(), configuration(10006)),
        (400, r#"{"message":"Primary key 'Key' does not exist.","errorcode":10000}"#.to_owned(), configuration(10000)),
        (400, with(10001), refused(10001)),
        (400, with(10002), refused(10002)),
        (400, with(10003), refused(10003)),
        (400, with(10004), refused(10004)),
        (400, with(10005), refused(10005)),
        (400, with(10006), refused(10006)),
        (400, with(30000), configuration(30000)),
        (400, "Bad Request".to_owned(), configuration(400)),
        (401, with(0), "TokenRefused".to_owned()),
        (401, String::new(), "TokenRefused".to_owned()),
        (403, with(40004), "TokenRefused".to_owned()),
        (403, with(20000), configuration(20000)),
        (403, with(40001), configuration(40001)),
        (404, with(30003), "NotFound".to_owned()),
        (409, with(30002), busy(30002)),
        (415, String::new(), configuration(415)),
        (302, String::new(), configuration(302)),
        (500, String::new(), "Failing { code: 500 }".to_owned()),
        (503, with(50300), "Failing { code: 503 }".to_owned()),
    ];
    for (status, body, expected) in cases {
        assert_eq!(verdict(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn how_long_to_wait_is_taken_from_where_it_is_told() {
    let slow = |seconds: u64| format!("SlowDown {{ wait: Some({seconds}s) }}");
    let told = r#"{"message":"Rate limited","errorcode":50100,"documentation":"","retryAfter":7}"#;
    assert_eq!(verdict(429, told), slow(7));
    assert_eq!(with_headers(429, told, &[("retry-after", "3")]), slow(3));
    assert_eq!(verdict(429, r#"{"errorcode":50100}"#), "TooFast");
    assert_eq!(verdict(429, r#"{"errorcode":50100,"retryAfter":-5}"#), "TooFast");
    assert_eq!(with_headers(503, "", &[("retry-after", "2")]), slow(2));
    // Temporarily blocked: no time is told, and a long one is right.
    assert_eq!(verdict(429, r#"{"message":"temporarily blocked","errorcode":50200}"#), slow(60));
}
