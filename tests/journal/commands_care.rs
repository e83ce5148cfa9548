//! What the `journal` command takes care of: that asking changes nothing, that nothing is hidden by it, and that whoever reads
//! what it says isn't misled.

use crate::office::{Office, contains};
use crate::town::address;
use std::fs::File;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_makes_no_journal_and_changes_none() {
    let office = Office::open().await;
    std::fs::write(office.file("empty.db"), b"").unwrap();
    let empty = [("GATEWAY_JOURNAL__SQLITE", "empty.db")];
    std::fs::write(office.file("other-key"), "k".repeat(40)).unwrap();
    let keys = office.keys().await;
    let toml = std::fs::read_to_string(office.file("gateway.toml")).unwrap();
    let (_, own) = toml.split_once("\nkeys = [").unwrap();
    let both = format!("[{{ file = \"other-key\" }}, {}", own.lines().next().unwrap());
    for arguments in [
        &["status"][..],
        &["verify"],
        &["receipts", "--address", "a@b"],
        &["forget", "--address", "a@b", "--yes"],
        &["rejected", "list"],
        &["pending", "list"],
        &["prune"],
    ] {
        let ran = office.journal_with(arguments, &empty).await;
        assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("journal.sqlite: there is no journal in it"), "{arguments:?}: {}", ran.err);
        assert_eq!(std::fs::read(office.file("empty.db")).unwrap(), b"", "{arguments:?}");
        let ran = office.journal_with(arguments, &[("GATEWAY_JOURNAL__KEYS", &both)]).await;
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert_eq!(office.keys().await, keys, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_no_further_ends_it_quietly_and_a_full_disk_does_not() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    for arguments in [
        &["receipts", "--address", "ann@example.org"][..],
        &["verify"],
        &["status"],
        &["rejected", "list"],
        &["pending", "list"],
        &["prune"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = office.journal_to(arguments, writer).await;
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert!(!ran.err.contains("panicked") && !ran.err.contains("error"), "{arguments:?}: {}", ran.err);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = office.journal_to(arguments, full).await;
        assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("error: standard output can't be written"), "{arguments:?}: {}", ran.err);
    }
    // What was asked for is done, whoever listens.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(office.journal_to(&["forget", "--uid", &uid, "--yes"], writer).await.code, 0);
    let ran = office.journal(&["receipts", "--uid", &uid]).await;
    assert!(ran.out.starts_with("The journal has no receipt of"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_does_not_hold_is_nothing_to_be_noted() {
    let office = Office::open().await;
    office.leaver("ann").await;
    let ran = office.journal(&["verify"]).await;
    assert!(ran.code == 0 && ran.out.contains("Keep this elsewhere"), "{ran:?}");
    office.intruder("UPDATE journal_receipt SET accepted_at = accepted_at - 1 WHERE seq = 1").await;
    let ran = office.journal(&["verify"]).await;
    assert!(ran.code == 1 && ran.out.contains("DOES NOT HOLD"), "{ran:?}");
    assert!(!ran.out.contains("Keep this") && !ran.out.contains("--expect"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_says_who_accepted() {
    let office = Office::open().await;
    office.leaver("ann").await;
    office.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    let table = office.journal(&["receipts", "--address", &address("ann")]).await.out;
    let header = table.lines().next().unwrap();
    assert!(header.contains("CHANGE") && header.contains("FROM -> TO"), "{table}");
    let out =
        table.lines().find(|line| line.trim_start().starts_with("opt_out ") && !line.contains("(found)")).unwrap();
    assert!(out.contains("Gigya main -> news "), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tampered_with_is_not_pruned_away() {
    let office = Office::open().await;
    office.remembers_others(2).await;
    office.leaver("ann").await;
    office.leaver("ben").await;
    // Somebody makes a young opt-out old, so that it goes, and takes the evidence along.
    let seq = office.receipts("ann").await["changes"][0]["seq"].as_i64().unwrap();
    assert_eq!(seq, 3);
    office.intruder("UPDATE journal_receipt SET written_at = 0 WHERE seq = 3").await;
    let settings = [("GATEWAY_JOURNAL__KEEP_RECEIPTS", "365d")];
    for arguments in [&["prune"][..], &["prune", "--dry-run"]] {
        let ran = office.journal_with(arguments, &settings).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.out.contains("place 3: its content is not what was written"), "{ran:?}");
        assert!(ran.err.contains("nothing was pruned") && ran.err.contains("--even-if-broken"), "{ran:?}");
    }
    let verified = office.journal(&["verify"]).await;
    assert!(verified.code == 1 && !verified.out.contains("were pruned"), "it is there still: {verified:?}");

    let ran = office.journal_with(&["prune", "--even-if-broken"], &settings).await;
    assert!(ran.code == 0 && ran.out.contains("3 receipts written before"), "{ran:?}");
    let verified = office.journal(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(verified.out.contains("although the chain did not hold then"), "{}", verified.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_left_of_an_erased_person_leads_to_log_lines() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    let changes = office.receipts("ann").await["changes"].clone();
    let requests: Vec<_> = changes.as_array().unwrap().iter().map(|change| change["request_id"].clone()).collect();
    assert!(requests.iter().all(|request| contains(&office.bytes(), request.as_str().unwrap().as_bytes())));
    assert_eq!(office.journal(&["forget", "--uid", &uid, "--yes"]).await.code, 0);
    for request in &requests {
        assert!(!contains(&office.bytes(), request.as_str().unwrap().as_bytes()), "{request}");
    }
    assert_eq!(office.journal(&["verify"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leads_from_an_address_to_its_accounts_is_told_before_it_goes() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    let asked = office.journal(&["forget", "--address", "ann@example.org"]).await;
    assert!(asked.code == 3 && asked.out.contains(&format!("    --uid {uid} --connection main\n")), "{asked:?}");
    // All that there is of the account is under this address.
    let erased = office.journal(&["forget", "--address", "ann@example.org", "--yes"]).await;
    assert!(erased.code == 0 && erased.out.contains(&uid), "{erased:?}");
    let again = office.journal(&["forget", "--address", "ann@example.org", "--yes"]).await;
    assert!(again.code == 0 && !again.out.contains(&uid), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_where_the_journal_is_and_proves_that_it_opens() {
    let office = Office::open().await;
    let ran = office.check(&[], &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("journal in SQLite, ") && ran.out.contains("journal.db: receipts kept "), "{}", ran.out);
    let keys = office.keys().await;
    let ran = office.check(&["--online"], &[]).await;
    assert!(ran.out.contains("ok       journal: SQLite: these keys open it"), "{ran:?}");

    std::fs::write(office.file("other-key"), "k".repeat(40)).unwrap();
    std::fs::write(office.file("letter.db"), "Dear Ann, this is no journal. Yours, Ben").unwrap();
    for (setting, value, verdict, says) in [
        ("GATEWAY_JOURNAL__KEYS", "[{ file = \"other-key\" }]", "problem ", "none of the keys opens this journal"),
        (
            "GATEWAY_JOURNAL__SQLITE",
            "elsewhere.db",
            "remark  ",
            "elsewhere.db yet: the gateway makes it when it starts",
        ),
        ("GATEWAY_JOURNAL__SQLITE", "no-folder/journal.db", "problem ", "there is no folder "),
        ("GATEWAY_JOURNAL__SQLITE", "letter.db", "problem ", "no journal"),
    ] {
        let ran = office.check(&["--online"], &[(setting, value)]).await;
        let line = ran.out.lines().find(|line| line.contains(" journal: SQLite: ")).unwrap();
        assert!(line.starts_with(verdict) && line.contains(says), "{value}: {ran:?}");
        assert_eq!(ran.code == 1, verdict == "problem ", "{value}: {ran:?}");
    }
    assert!(!office.file("elsewhere.db").exists());
    assert_eq!(office.keys().await, keys);
}
