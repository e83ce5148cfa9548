use super::*;
use crate::config::{Common, OnDeadline};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::Mutex;

/// A status and perhaps a `Retry-After`, or none at all.
type Scripted = Result<(u16, Option<&'static str>), TransportError>;

/// Answers from a script, and counts.
struct Script {
    answers: Mutex<VecDeque<Scripted>>,
    made: Mutex<u32>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, _: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        *self.made.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Err(TransportError::Broken));
        if answer == Err(TransportError::TimedOut) {
            tokio::time::sleep(timeout).await;
        }
        // Nothing is answered before the next call has begun.
        tokio::task::yield_now().await;
        let (status, wait) = answer?;
        let mut response = Response::builder().status(status);
        if let Some(wait) = wait {
            response = response.header("retry-after", wait);
        }
        Ok(response.body(Bytes::new()).unwrap())
    }
}

pub(super) fn common() -> Common {
    Common {
        deadline: Duration::from_secs(8),
        on_deadline: OnDeadline::Defer,
        attempt_timeout: Duration::from_secs(4),
        max_concurrent_calls: 8,
        max_calls_per_minute: 0,
        clocks_may_differ: Duration::ZERO,
        content_types: Vec::new(),
    }
}

async fn call(answers: Vec<Scripted>, attempts: Attempts, time: Duration) -> (Result<u16, Fault>, u32) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), made: Mutex::new(0) });
    let upstream = Upstream::new("test".into(), Arc::clone(&script) as Arc<dyn Transport>, &common());
    let deadline = Deadline::after(Instant::now(), time);
    let judge = |response: &Response<Bytes>| {
        Verdict::of_status(response).unwrap_or_else(|| match response.status().as_u16() {
            200 => Verdict::Answer(200),
            code => Verdict::Fail(Fault::Refused { code: i64::from(code) }),
        })
    };
    let result = upstream.call("test", attempts, deadline, || Request::new(Bytes::new()), judge).await;
    let made = *script.made.lock().unwrap();
    (result, made)
}

const PLENTY: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_failure_that_passes_is_tried_again() {
    let answers = vec![Ok((500, None)), Err(TransportError::Broken), Ok((200, None))];
    assert_eq!(call(answers, Attempts::Few, PLENTY).await, (Ok(200), 3));
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    assert_eq!(call(vec![Ok((400, None))], Attempts::Few, PLENTY).await, (Err(Fault::Refused { code: 400 }), 1));
}

#[tokio::test]
async fn what_may_be_tried_once_is_tried_once() {
    let (result, made) = call(vec![Ok((503, None)), Ok((200, None))], Attempts::Once, PLENTY).await;
    assert_eq!((result, made), (Err(Fault::Failing { code: 503 }), 1));
}

/// Refuses until it is asked often enough, each time after a while; and says which requests it saw, with how much time for each.
struct Reluctant {
    refuses: usize,
    seen: Mutex<Vec<(Request<Bytes>, Duration)>>,
}

#[async_trait]
impl Transport for Reluctant {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        let nth = {
            let mut seen = self.seen.lock().unwrap();
            seen.push((request, timeout));
            seen.len()
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        if nth > self.refuses { Ok(Response::new(Bytes::new())) } else { Err(TransportError::NotTakenUp) }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_taken_up_is_made_anew_and_has_the_rest_of_the_time() {
    let reluctant = Arc::new(Reluctant { refuses: 2, seen: Mutex::default() });
    let upstream = Upstream::new("test".into(), Arc::clone(&reluctant) as Arc<dyn Transport>, &common());
    let times = Mutex::new(0);
    let build = || {
        *times.lock().unwrap() += 1;
        Request::new(Bytes::from(times.lock().unwrap().to_string()))
    };
    let judge = |_: &Response<Bytes>| Verdict::Answer(());
    let deadline = Deadline::after(Instant::now(), PLENTY);
    assert_eq!(upstream.call("test", Attempts::Once, deadline, build, judge).await, Ok(()));
    let seen = reluctant.seen.lock().unwrap();
    let bodies: Vec<_> = seen.iter().map(|(request, _)| request.body().as_ref()).collect();
    assert_eq!(bodies, [b"1", b"2", b"3"]);
    assert!(seen.windows(2).all(|two| two[0].1 >= two[1].1 + Duration::from_secs(1)), "one time for all of it");
}

#[tokio::test]
async fn what_was_not_taken_up_is_as_if_it_had_not_been_tried() {
    let refused = |times| (0..times).map(|_| Err(TransportError::NotTakenUp)).chain([Ok((200, None))]).collect();
    assert_eq!(call(refused(2), Attempts::Once, PLENTY).await, (Ok(200), 3));
    // It has its bounds.
    assert_eq!(call(refused(9), Attempts::Once, PLENTY).await, (Err(Fault::Unavailable { cause: "connection" }), 3));
}

#[tokio::test]
async fn attempts_are_few() {
    let answers = (0..10).map(|_| Ok((500, None))).collect();
    assert_eq!(call(answers, Attempts::Few, PLENTY).await, (Err(Fault::Failing { code: 500 }), 4));
}

#[tokio::test]
async fn a_wait_longer_than_the_deadline_is_not_begun() {
    let answers = vec![Ok((429, Some("60"))), Ok((200, None))];
    let started = Instant::now();
    assert_eq!(call(answers, Attempts::Few, PLENTY).await, (Err(Fault::RateLimited), 1));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_wait_that_fits_is_kept() {
    let answers = vec![Ok((429, Some("0"))), Ok((200, None))];
    assert_eq!(call(answers, Attempts::Few, PLENTY).await, (Ok(200), 2));
}

#[tokio::test]
async fn the_deadline_cuts_an_attempt_short() {
    let answers = vec![Err(TransportError::TimedOut), Ok((200, None))];
    let (result, made) = call(answers, Attempts::Few, Duration::from_millis(30)).await;
    assert_eq!((result, made), (Err(Fault::DeadlineReached), 1));
}

#[tokio::test]
async fn a_dead_system_is_left_alone() {
    let script = Arc::new(Script { answers: Mutex::new(VecDeque::new()), made: Mutex::new(0) });
    let upstream = Upstream::new("test".into(), Arc::clone(&script) as Arc<dyn Transport>, &common());
    let judge = |_: &Response<Bytes>| Verdict::Answer(());
    for _ in 0..20 {
        let deadline = Deadline::after(Instant::now(), PLENTY);
        let result = upstream.call("test", Attempts::Once, deadline, || Request::new(Bytes::new()), judge).await;
        assert!(matches!(result, Err(Fault::Unavailable { .. })));
    }
    assert_eq!(*script.made.lock().unwrap(), 10);
    assert_eq!(upstream.breaker_state(), BreakerState::Open);
}

#[tokio::test]
async fn what_one_caller_is_told_about_pace_counts_for_the_next() {
    let answers = vec![Ok((429, Some("60"))), Ok((200, None))];
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), made: Mutex::new(0) });
    let upstream = Upstream::new("test".into(), Arc::clone(&script) as Arc<dyn Transport>, &common());
    let judge =
        |response: &Response<Bytes>| Verdict::of_status(response).unwrap_or_else(|| Verdict::Answer(response.status()));
    for _ in 0..3 {
        let deadline = Deadline::after(Instant::now(), PLENTY);
        let result = upstream.call("test", Attempts::Few, deadline, || Request::new(Bytes::new()), judge).await;
        assert_eq!(result, Err(Fault::RateLimited));
    }
    assert_eq!(*script.made.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_breaker_closes_although_several_calls_are_made_at_once() {
    let answers = (0..10).map(|_| Err(TransportError::Broken)).chain((0..10).map(|_| Ok((200, None)))).collect();
    let script = Arc::new(Script { answers: Mutex::new(answers), made: Mutex::new(0) });
    let upstream = Upstream::new("test".into(), Arc::clone(&script) as Arc<dyn Transport>, &common());
    let call = || async {
        let judge = |_: &Response<Bytes>| Verdict::Answer(());
        let deadline = Deadline::after(Instant::now(), PLENTY);
        upstream.call("test", Attempts::Once, deadline, || Request::new(Bytes::new()), judge).await
    };
    while upstream.breaker_state() != BreakerState::Open {
        call().await.unwrap_err();
    }
    while upstream.breaker_state() == BreakerState::Open {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = Err(Fault::Unavailable { cause: "breaker_open" });
    assert_eq!(all((0..3).map(|_| call())).await.map(|_| ()), refused, "one was on trial");
    assert_eq!(upstream.breaker_state(), BreakerState::Closed, "and closed it");
    assert!(both(call(), call()).await.is_ok());
}
