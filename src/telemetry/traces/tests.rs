use super::*;

#[test]
fn a_method_that_is_none_is_not_told() {
    assert_eq!(known(&Method::POST), "POST");
    assert_eq!(known(&Method::from_bytes(b"ANN-EXAMPLE.ORG").unwrap()), "_OTHER");
}

#[test]
fn only_the_first_events_of_a_body_may_have_spans() {
    assert!(subscriber(MOST_EVENTS).is_none());
}
