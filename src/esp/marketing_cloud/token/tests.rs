use super::*;
use crate::esp::marketing_cloud::testing::settings;
use crate::upstream::TransportError;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::sync::Mutex;

/// Answers every request for a token, after a while, and counts them.
struct Door {
    asked: Mutex<usize>,
    answer: fn(usize) -> (u16, String),
}

#[async_trait]
impl Transport for Door {
    async fn send(&self, request: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.uri().path(), "/v2/token");
        let asked: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(asked["account_id"], "1476456");
        assert!(asked.get("scope").is_none(), "an empty one would be a token without rights");
        let number = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (status, body) = (self.answer)(number);
        Ok(Response::builder().status(status).body(body.into()).unwrap())
    }
}

fn tokens(answer: fn(usize) -> (u16, String)) -> (Tokens, Arc<Door>) {
    let settings = settings("", &["all-subscribers"]);
    let door = Arc::new(Door { asked: Mutex::new(0), answer });
    (Tokens::new(&settings, Arc::clone(&door) as Arc<dyn Transport>), door)
}

fn lasting(number: usize, seconds: u64) -> (u16, String) {
    (200, format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":{seconds}}}"#))
}

fn soon() -> Deadline {
    Deadline::after(tokio::time::Instant::now(), Duration::from_secs(5))
}

#[tokio::test]
async fn many_callers_share_one_token() {
    let (tokens, door) = tokens(|number| lasting(number, 1079));
    let got = join_all((0..50).map(|_| tokens.get(soon()))).await;
    assert!(got.iter().all(|token| token.as_ref().is_ok_and(|token| token.text.expose_secret() == "t1")));
    assert_eq!(*door.asked.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_early_by_one_while_the_others_go_on() {
    let (tokens, door) = tokens(|number| lasting(number, if number == 1 { 1 } else { 1079 }));
    tokens.get(soon()).await.unwrap();
    // Four fifths of its second are over, the rest isn't.
    tokio::time::advance(Duration::from_millis(850)).await;
    let got = join_all((0..20).map(|_| tokens.get(soon()))).await;
    let texts: Vec<_> = got.iter().map(|token| token.as_ref().unwrap().text.expose_secret()).collect();
    assert_eq!(texts.iter().filter(|text| **text == "t2").count(), 1, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| **text == "t1").count(), 19, "{texts:?}");
    assert_eq!(*door.asked.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_token_that_was_good_is_replaced_and_a_fresh_one_that_is_refused_is_not() {
    let (tokens, door) = tokens(|number| lasting(number, 1079));
    let first = tokens.get(soon()).await.unwrap();
    first.prove();
    assert!(tokens.refused(&first), "revoked, so another one may do");
    assert!(tokens.refused(&first), "told by a second caller");
    let second = tokens.get(soon()).await.unwrap();
    assert_eq!(second.text.expose_secret(), "t2");
    assert!(!tokens.refused(&second), "refused although fresh");
    let refused = tokens.get(soon()).await.map(|_| ());
    assert_eq!(refused, Err(Fault::Configuration { code: 401 }), "nobody asks again at once");
    assert_eq!(*door.asked.lock().unwrap(), 2);
}

#[tokio::test]
async fn what_stands_in_the_way_is_told() {
    for (answer, expected) in [
        (
            (|_| (401, r#"{"error":"invalid_client","error_description":"x"}"#.to_owned())) as fn(usize) -> _,
            Fault::Configuration { code: 401 },
        ),
        (|_| (400, String::new()), Fault::Configuration { code: 400 }),
        (|_| (200, "{}".to_owned()), Fault::Unavailable { cause: "answer_not_understood" }),
        (|_| (200, r#"{"access_token":"a\nb"}"#.to_owned()), Fault::Unavailable { cause: "answer_not_understood" }),
        (|_| (500, String::new()), Fault::Failing { code: 500 }),
    ] {
        assert_eq!(tokens(answer).0.get(soon()).await.map(|_| ()), Err(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_said_to_last_for_ever_lasts_a_day() {
    let (tokens, door) = tokens(|number| lasting(number, u64::MAX));
    tokens.get(soon()).await.unwrap();
    tokio::time::advance(LONGEST).await;
    tokens.get(soon()).await.unwrap();
    assert_eq!(*door.asked.lock().unwrap(), 2);
}
