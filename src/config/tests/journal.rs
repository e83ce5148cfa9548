//! `[journal]`, and which connections may count on it.

use super::*;

const SQLITE: &str = "sqlite = \"journal.db\"";
const KEYS: &str = "keys = [{ env = \"JOURNAL_KEY\" }]";

fn with(lines: &str) -> Result<Config, ConfigErrors> {
    parse_with(&format!("{CONTRACT}\n[journal]\n{lines}\n"), &[("OTHER_KEY", "other-key-0123456789abcdef012345678")])
}

fn on_deadline(table: &str, value: &str) -> String {
    CONTRACT.replace(table, &format!("{table}\non_deadline = \"{value}\""))
}

#[test]
fn there_is_none_unless_asked_for() {
    let config = parse(CONTRACT).unwrap();
    assert!(config.journal.is_none());
    assert_eq!(config.gigya.values().next().unwrap().common.on_deadline, OnDeadline::Defer);
}

#[test]
fn it_is_in_a_file_or_in_a_database() {
    let text = format!("{CONTRACT}\n[journal]\n{SQLITE}\n{KEYS}");
    let environment = environment().into_iter().collect();
    let config = Config::parse(&text, Path::new("/etc/gateway/gateway.toml"), &environment).unwrap();
    let journal = config.journal.unwrap();
    assert!(
        matches!(&journal.store, JournalStore::Sqlite(file) if file == Path::new("/etc/gateway/journal.db")),
        "beside the configuration: {journal:?}"
    );
    let days = |days: u64| Duration::from_secs(days * 86_400);
    assert_eq!((journal.keep_receipts, journal.keep_rejected), (days(1096), days(90)));

    let config = with(
        "postgres = { env = \"JOURNAL_POSTGRES\" }\nkeys = [{ env = \"OTHER_KEY\" }, { env = \"JOURNAL_KEY\" }]\n\
         keep_receipts = \"10d\"\nkeep_rejected = \"1d\"",
    );
    let config = config.unwrap();
    let journal = config.journal.as_ref().unwrap();
    assert!(matches!(&journal.store, JournalStore::Postgres(url) if url.expose_secret().contains("db.example.com")));
    assert_eq!(journal.keys.len(), 2);
    assert!(journal.keys[0].expose_secret().starts_with("other-key"), "the first is the one that is used");
    assert_eq!((journal.keep_receipts, journal.keep_rejected), (days(10), days(1)));
    let printed = format!("{config:?}");
    assert!(!printed.contains(CANARY) && !printed.contains("other-key"), "{printed}");
}

#[test]
fn one_that_cannot_be_used_is_refused_with_what_to_do() {
    let both = format!("{SQLITE}\npostgres = {{ env = \"JOURNAL_POSTGRES\" }}\n{KEYS}");
    let of = |store: &str| format!("{store}\n{KEYS}");
    let cases = [
        (both, "journal.postgres: is given besides journal.sqlite", "keep one of the two"),
        (of(""), "journal.sqlite: is missing, and so is journal.postgres", "write sqlite = \"journal.db\""),
        (of("sqlite = \"\""), "journal.sqlite: is empty", "write sqlite = \"journal.db\""),
        (SQLITE.to_owned(), "journal.keys: is missing", "openssl rand -base64 32"),
        (format!("{SQLITE}\nkeys = []"), "journal.keys: is empty", "env"),
        (
            format!("{SQLITE}\nkeys = [{{ env = \"JOURNAL_KEY\" }}, {{ env = \"CM_API_KEY\" }}]"),
            "journal.keys: has a key of fewer than 32 characters",
            "openssl rand -base64 32",
        ),
        (
            format!("{SQLITE}\nkeys = [{{ env = \"NOWHERE\" }}]"),
            "journal.keys: environment variable NOWHERE is not set",
            "set it where the gateway is started",
        ),
        (
            of("postgres = { env = \"GIGYA_SECRET\" }"),
            "journal.postgres: is not the URL of a PostgreSQL database",
            "postgres://",
        ),
        (
            of("postgres = \"postgres://gateway:Y2FuYXJ5LXNlY3JldC1jYW5hcnk@db/journal\""),
            "journal.postgres: is not a reference to a secret",
            "env",
        ),
        (
            of(&format!("{SQLITE}\nkeep_receipts = \"1h\"")),
            "journal.keep_receipts: is not a length of time from 1d to 36500d",
            "2d",
        ),
        (of(&format!("{SQLITE}\nkeep_rejected = 90")), "journal.keep_rejected: ", "d"),
        (of(&format!("{SQLITE}\nkeep_rejections = \"90d\"")), "journal.keep_rejections: ", "keep_rejected"),
    ];
    for (lines, what, remedy) in cases {
        let errors = with(&lines).unwrap_err();
        let message = errors.to_string();
        assert!(
            message.contains(what) && message.contains(remedy),
            "expected {what:?}, {remedy:?} of {lines}:\n{message}"
        );
        assert_eq!(errors.problems().len(), 1, "one slip, one problem: {message}");
        assert!(!message.contains(CANARY), "{message}");
    }
}

#[test]
fn a_connection_that_counts_on_it_needs_one() {
    let tables = [
        ("[gigya.main]", "gigya.main"),
        ("[campaign_monitor.news]", "campaign_monitor.news"),
        ("[marketing_cloud.crm]", "marketing_cloud.crm"),
    ];
    for (table, name) in tables {
        let text = on_deadline(table, "journal");
        let message = parse(&text).unwrap_err().to_string();
        let what = format!("{name}.on_deadline: is \"journal\", and there is no [journal]");
        assert!(message.contains(&what) && message.contains("add a [journal] table"), "{message}");
        parse(&on_deadline(table, "defer")).unwrap();
        assert!(
            parse(&on_deadline(table, "later")).unwrap_err().to_string().contains(&format!("{name}.on_deadline: "))
        );

        let config = parse(&format!("{text}\n[journal]\n{SQLITE}\n{KEYS}\n")).unwrap();
        let wants = |common: &Common| common.on_deadline == OnDeadline::Journal;
        let gigya = config.gigya.values().filter(|gigya| wants(&gigya.common)).count();
        let common = |esp: &Esp| match esp {
            Esp::CampaignMonitor(connection) => wants(&connection.common),
            Esp::MarketingCloud(connection) => wants(&connection.common),
            Esp::Http(connection) => wants(&connection.common),
        };
        let esps = config.esps.values().filter(|esp| common(esp)).count();
        assert_eq!(gigya + esps, 1, "{name} alone");

        // A journal that is wrong is one problem, not one of each connection, too.
        let errors = parse(&format!("{text}\n[journal]\n{KEYS}\n")).unwrap_err();
        assert_eq!(errors.problems().len(), 1, "{errors}");
    }
}
