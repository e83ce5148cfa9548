//! The status page as it is served. How it looks, a browser shows (`.ci/browser`).

use crate::{both, get, quiet, subscriber};
use gigya_esp_gateway::sandbox::{Setup, Weather};
use std::time::Duration;

#[tokio::test]
async fn it_tells_what_happened_without_anybodys_address() {
    let sandbox = both().await;
    let ann = subscriber(&sandbox, "ann").await;
    sandbox.gigya.unsubscribe(&ann, crate::NEWSLETTER);
    quiet(&sandbox).await;
    let page = get(&sandbox, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for told in ["<h3>main <small>Gigya</small></h3>", "<h3>news <small>Campaign Monitor</small></h3>", "gigya/main"] {
        assert!(page.body.contains(told), "{told}");
    }
    assert!(page.body.contains("breaker closed</span> last success"));
    assert!(page.body.contains("<span class=\"chip go\">ready</span>"));
    assert!(page.body.contains("60 min <small>median 60 min, oldest 60 min, of 1</small>"), "the opt-out's age");
    assert!(page.body.contains("opted out <small>after 60 min</small>"));
    assert!(!page.body.contains("ann@") && !page.body.contains(&ann), "nobody is named");
}

#[tokio::test]
async fn a_browser_may_do_nothing_with_it_but_look() {
    let sandbox = crate::sandbox(Setup::default()).await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/status/page.css", "text/css; charset=utf-8"),
        ("/status/page.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = get(&sandbox, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let page = get(&sandbox, "/").await.body;
    for inline in ["style=", "onclick", "<script>", "http://", "https://"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn a_system_that_fails_shows_with_what_it_said_and_its_breaker() {
    let sandbox = crate::sandbox(Setup::default()).await;
    subscriber(&sandbox, "ann").await;
    sandbox.campaign_monitor.faults().set(Weather { down: true, ..Weather::default() });
    let uid = sandbox.gigya.sign_up("ben@example.org", "ben");
    sandbox.gigya.subscribe(&uid, crate::NEWSLETTER);
    let shows = async |what: &str| {
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        while !get(&sandbox, "/").await.body.contains(what) {
            assert!(tokio::time::Instant::now() < until, "{what} never shows");
            tokio::task::yield_now().await;
        }
    };
    shows("failing with code 503</span>").await;
    shows("<span class=\"chip wait\">deferred</span> unavailable").await;
    shows("<span class=\"chip stop\">breaker open</span>").await;
    sandbox.campaign_monitor.faults().set(Weather::default());
    quiet(&sandbox).await;
    shows("<span class=\"chip go\">breaker closed</span>").await;
}

#[tokio::test]
async fn what_is_not_believed_shows_with_its_reason() {
    let sandbox = crate::sandbox(Setup::default()).await;
    let request =
        reqwest::Client::new().post(sandbox.gigya_url(0)).header("content-type", "application/json").body("{}");
    assert_eq!(crate::ask(crate::Port::Webhooks, request).await.status, 401);
    let page = get(&sandbox, "/").await.body;
    assert!(
        page.contains("Last refused</dt><dd><span class=\"wait\">signature_missing</span>, just now <small>1 in all"),
        "{page}"
    );
}
