//! `[reconcile]`, and the pace that it sets.

use super::*;

fn with(lines: &str) -> Result<Config, ConfigErrors> {
    parse(&format!("{CONTRACT}\n[reconcile]\n{lines}\n"))
}

fn commons(config: &Config) -> Vec<&Common> {
    config.gigya.values().map(|gigya| &gigya.common).chain(config.esps.values().map(Esp::common)).collect()
}

#[test]
fn nothing_has_to_be_said() {
    let config = parse(CONTRACT).unwrap();
    let Reconcile { calls_per_minute, max_concurrent_calls, accounts_per_page, max_removals, max_removal_share } =
        config.reconcile;
    assert_eq!((calls_per_minute, max_concurrent_calls, accounts_per_page, max_removals), (3_000, 16, 1_000, 1_000));
    assert!((max_removal_share - 0.01).abs() < f64::EPSILON);
    assert_eq!(with("").unwrap().reconcile, config.reconcile);
}

#[test]
fn what_is_out_of_bounds_is_refused_where_it_stands() {
    for (line, what) in [
        ("calls_per_minute = 0", "reconcile.calls_per_minute"),
        ("max_concurrent_calls = 0", "reconcile.max_concurrent_calls"),
        ("accounts_per_page = 9", "reconcile.accounts_per_page"),
        ("accounts_per_page = 10001", "reconcile.accounts_per_page"),
        ("max_removals = -1", "reconcile.max_removals"),
        ("max_removal_share = 1.5", "reconcile.max_removal_share"),
        ("max_removal_share = \"1 %\"", "reconcile.max_removal_share"),
        ("pages = 3", "reconcile.pages"),
    ] {
        let error = with(line).unwrap_err().to_string();
        assert!(error.contains(what), "{line}: {error}");
    }
}

#[test]
fn its_pace_is_its_own_and_at_most_half_of_a_connections() {
    let slow = |calls: &str| CONTRACT.replace("[campaign_monitor.news]", &format!("[campaign_monitor.news]\n{calls}"));
    let paced = |text: &str| parse(text).unwrap().at_the_pace_of_reconcile();
    let news = |config: &Config| {
        let mut all = config.esps.values().filter(|esp| matches!(esp, Esp::CampaignMonitor(_)));
        all.next().unwrap().common().clone()
    };
    let of_news = |config: &Config| news(config).max_calls_per_minute;
    let config = paced(CONTRACT);
    for common in commons(&config) {
        assert_eq!((common.max_calls_per_minute, common.max_concurrent_calls), (3_000, 16));
        assert!(common.attempt_timeout >= Duration::from_mins(1), "a page takes longer than a webhook's call");
    }
    assert_eq!(of_news(&paced(&slow("max_calls_per_minute = 1001"))), 501);
    assert_eq!(of_news(&paced(&slow("max_calls_per_minute = 1"))), 1);
    assert_eq!(of_news(&paced(&slow("max_calls_per_minute = 100000"))), 3_000);
    let few = paced(&slow("max_concurrent_calls = 4"));
    assert_eq!(news(&few).max_concurrent_calls, 4);
}
