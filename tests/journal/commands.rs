//! What the `journal` command answers, and how it ends.

use crate::office::{Office, contains};
use crate::town::address;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_opt_out_was_honoured_is_told_in_three_ways() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    let told = office.receipts("ann").await;
    assert_eq!(told["asked"], json!({ "by": "address", "value": "ann@example.org", "connection": null }));
    assert_eq!(told["chain"]["holds"], true);
    let changes = told["changes"].as_array().unwrap();
    let out = changes.iter().find(|change| change["change"] == "opt_out" && change["found"] == false).unwrap();
    for key in ["acted_from", "acted_to", "received_at", "accepted_at", "event", "request_id", "hash"] {
        assert!(out[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {out}");
    }
    assert_eq!(out["route"], format!("main/newsletter -> news/{}", office.sandbox.list));

    let table = office.journal(&["receipts", "--address", "ANN@Example.org"]).await;
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.out.contains("CHANGE") && table.out.contains("opt_out"), "{}", table.out);
    assert!(table.out.contains(" holds."), "{}", table.out);

    let by_uid = office.journal(&["receipts", "--uid", &uid, "--format", "json"]).await;
    let by_uid: Value = serde_json::from_str(&by_uid.out).unwrap();
    assert_eq!(by_uid["asked"], json!({ "by": "uid", "value": uid, "connection": "main" }));
    assert_eq!(by_uid["changes"], told["changes"]);

    let to_file = ["receipts", "--address", "ann@example.org", "--format", "html", "--output", "ann.html"];
    assert_eq!(office.journal(&to_file).await.code, 0);
    let page = std::fs::read_to_string(office.file("ann.html")).unwrap();
    assert!(page.contains("The last opt-out on record took effect in Campaign Monitor (news)"), "{page}");
    assert!(page.contains(out["hash"].as_str().unwrap()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(office.file("ann.html")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = office.journal(&["receipts", "--address", &address("ann"), "--output", "ann.html"]).await;
    assert_eq!(again.code, 1, "nothing is overwritten");
    assert!(again.err.contains("name a file that isn't there"), "{}", again.err);
    assert_eq!(std::fs::read_to_string(office.file("ann.html")).unwrap(), page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_no_receipts_and_bad_questions_are_refused() {
    let office = Office::open().await;
    let nobody = office.journal(&["receipts", "--address", "nobody@example.org"]).await;
    assert_eq!(nobody.code, 0);
    assert!(nobody.out.starts_with("The journal has no receipt of the address nobody@example.org."), "{}", nobody.out);
    for (arguments, says) in [
        (&["receipts"][..], "required"),
        (&["receipts", "--address", "nobody"], "not an email address"),
        (&["receipts", "--address", "a@b", "--uid", "u"], "cannot be used with"),
        (&["receipts", "--address", "a@b", "--connection", "main"], "cannot be used with"),
        (
            &["receipts", "--uid", "u", "--connection", "other"],
            "there is no Gigya connection other; configured are main",
        ),
        (&["verify", "--expect", "12"], "write HASH@SEQ"),
        (&["forget"], "required"),
        (&["rejected", "retry"], "required"),
        (&["rejected", "retry", "--all", "a"], "cannot be used with"),
        (&["rejected", "drop"], "required"),
    ] {
        let ran = office.journal(arguments).await;
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_journal_it_says_what_to_write() {
    let office = Office::open().await;
    let without = std::fs::read_to_string(office.file("gateway.toml")).unwrap();
    std::fs::write(office.file("gateway.toml"), without.split("[journal]").next().unwrap()).unwrap();
    for arguments in [
        &["status"][..],
        &["verify"],
        &["receipts", "--address", "a@b"],
        &["forget", "--address", "a@b"],
        &["rejected", "list"],
        &["pending", "list"],
        &["prune"],
    ] {
        let ran = office.journal(arguments).await;
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("has no [journal]") && ran.err.contains("sqlite = \"journal.db\""), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_never_made_by_asking_it() {
    let office = Office::open().await;
    let settings = [("GATEWAY_JOURNAL__SQLITE", "elsewhere.db")];
    let ran = office.journal_with(&["receipts", "--address", "a@b"], &settings).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("the gateway makes it when it starts"), "{}", ran.err);
    assert!(!office.file("elsewhere.db").exists());
    std::fs::write(office.file("other-key"), "k".repeat(40)).unwrap();
    let other_key = [("GATEWAY_JOURNAL__KEYS", "[{ file = \"other-key\" }]")];
    let ran = office.journal_with(&["status"], &other_key).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("none of the keys opens this journal"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_stands_in_the_file_in_plain_text() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    let (other, _) = office.without_address("ben").await;
    let bytes = office.bytes();
    assert!(contains(&bytes, b"main/newsletter"), "the file is what was read");
    for hidden in [&uid, &other, "ann@example.org", "ann@", "example.org", "ben"] {
        assert!(!contains(&bytes, hidden.as_bytes()), "{hidden}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_changed_is_found() {
    for (statement, place, says) in [
        (
            "UPDATE journal_receipt SET accepted_at = accepted_at - 1 WHERE seq = 2",
            2,
            "its content is not what was written",
        ),
        (
            "UPDATE journal_receipt SET change = 'opt_in' WHERE change = 'opt_out'",
            0,
            "its content is not what was written",
        ),
        ("UPDATE journal_receipt SET change = 'nonsense' WHERE seq = 2", 2, "it can't be read"),
        ("UPDATE journal_receipt SET digest = x'00' WHERE seq = 2", 2, "its digest is no digest"),
        ("UPDATE journal_receipt SET hash = zeroblob(32) WHERE seq = 2", 2, "it doesn't follow from the one before it"),
        ("DELETE FROM journal_receipt WHERE seq = 2", 2, "receipts are missing from here to the next one"),
        ("DELETE FROM journal_receipt WHERE seq = 1", 1, "receipts are missing from here to the next one"),
        (
            "DELETE FROM journal_receipt WHERE seq = (SELECT MAX(seq) FROM journal_receipt)",
            0,
            "receipts are missing at the end",
        ),
        ("UPDATE journal_receipt SET seq = CASE seq WHEN 1 THEN -2 ELSE -1 END WHERE seq IN (1, 2)", 1, "missing"),
        (
            "UPDATE journal_receipt SET person = NULL, address = NULL, salt = NULL WHERE seq = 2",
            2,
            "no erasure tells of that",
        ),
        (
            "UPDATE journal_chain SET first_seq = 2, first_hash = (SELECT hash FROM journal_receipt WHERE seq = 2)",
            2,
            "no pruning tells of that",
        ),
    ] {
        let office = Office::open().await;
        office.leaver("ann").await;
        // Of one there may be no more than two receipts.
        office.leaver("ben").await;
        assert_eq!(office.journal(&["verify"]).await.code, 0);
        // As the gateway does within a second.
        office
            .intruder(
                "UPDATE journal_chain SET (seq, hash) = (SELECT seq, hash FROM journal_receipt ORDER BY seq DESC LIMIT 1)",
            )
            .await;
        assert!(office.intruder(statement).await > 0, "{statement}");
        if statement.contains("CASE") {
            // Two swap their places; their keys can't meet on the way.
            office.intruder("UPDATE journal_receipt SET seq = -seq WHERE seq < 0").await;
        }
        if statement.contains("first_seq") {
            office.intruder("DELETE FROM journal_receipt WHERE seq <= 2").await;
        }
        let ran = office.journal(&["verify"]).await;
        let says = if statement.contains("CASE") { "it doesn't follow from the one before it" } else { says };
        assert_eq!(ran.code, 1, "{statement}: {ran:?}");
        let place = if place == 0 { "place ".to_owned() } else { format!("place {place}: ") };
        let found = ran.out.lines().any(|line| line.starts_with(&place) && line.contains(says));
        assert!(found && ran.out.contains("DOES NOT HOLD"), "{statement}: {}", ran.out);
        let answer = office.journal(&["receipts", "--address", &address("ann")]).await;
        assert_eq!(answer.code, 1, "{statement}: whoever asks is told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_noted_elsewhere_shows_a_chain_that_was_made_anew() {
    let office = Office::open().await;
    office.leaver("ann").await;
    let verified: Value = serde_json::from_str(&office.journal(&["verify", "--json"]).await.out).unwrap();
    let end = |verified: &Value| format!("{}@{}", verified["last_hash"].as_str().unwrap(), verified["last_seq"]);
    let noted = end(&verified);
    office.leaver("ben").await;
    let ran = office.journal(&["verify", "--expect", &noted]).await;
    assert_eq!(ran.code, 0, "{ran:?}");

    let wrong = format!("{}@{}", "00".repeat(32), verified["last_seq"]);
    let ran = office.journal(&["verify", "--expect", &noted, "--expect", &wrong]).await;
    assert!(ran.code == 1 && ran.out.contains("its hash is not the one that was noted"), "{ran:?}");
    let later = format!("{}@{}", "00".repeat(32), 1_000_000);
    let ran = office.journal(&["verify", "--expect", &later]).await;
    assert!(
        ran.code == 1 && ran.out.contains("place 1000000: this place was noted, and the chain ends before it"),
        "{ran:?}"
    );

    // Somebody cuts the end off, and makes it look like an end: only the note tells.
    office.intruder("DELETE FROM journal_receipt WHERE seq > 1").await;
    office.intruder("UPDATE journal_chain SET seq = 1, hash = (SELECT hash FROM journal_receipt WHERE seq = 1)").await;
    assert_eq!(office.journal(&["verify"]).await.code, 0, "the chain alone doesn't show that");
    let ran = office.journal(&["verify", "--expect", &noted]).await;
    assert!(ran.code == 1 && ran.out.contains("receipts were cut off"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_is_gone_and_the_chain_holds() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    office.leaver("ben").await;
    let hashes: Vec<Vec<u8>> = office.hashes_of("ann").await;
    assert!(hashes.len() == 2 && hashes.iter().all(|hash| contains(&office.bytes(), hash)));
    let before = office.receipts("ben").await["changes"].clone();

    let asked = office.journal(&["forget", "--uid", &uid]).await;
    assert_eq!(asked.code, 3, "{asked:?}");
    assert!(asked.out.contains("receipts, ") && asked.out.contains("Nothing was erased"), "{}", asked.out);
    assert!(asked.out.contains("a list may hold the address still"), "{}", asked.out);
    assert_ne!(office.receipts("ann").await["changes"], json!([]));

    let erased = office.journal(&["forget", "--uid", &uid, "--yes"]).await;
    assert_eq!(erased.code, 0, "{erased:?}");
    assert_eq!(office.receipts("ann").await["changes"], json!([]));
    let by_uid = office.journal(&["receipts", "--uid", &uid]).await;
    assert!(by_uid.out.starts_with("The journal has no receipt of"), "{}", by_uid.out);
    assert_eq!(office.receipts("ben").await["changes"], before, "others are left alone");
    for hash in &hashes {
        assert!(!contains(&office.bytes(), hash), "nothing of the person is left in the file");
    }
    let verified = office.journal(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(verified.out.contains("of people who were erased"), "{}", verified.out);
    let again = office.journal(&["forget", "--uid", &uid, "--yes"]).await;
    assert!(again.code == 0 && again.out.contains("has nothing of this person"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_erased_alone_and_what_else_there_is_of_its_accounts_is_told() {
    let office = Office::open().await;
    let uid = office.leaver("ann").await;
    office.sandbox.gigya.change_email(&uid, &address("anna"));
    office.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    office.sandbox.gigya.subscribe(&uid, crate::town::NEWSLETTER);
    office.quiet().await;
    let anna = office.receipts("anna").await["changes"].as_array().unwrap().len();
    assert!(anna > 0);
    let ran = office.journal(&["forget", "--address", "Ann@example.org", "--yes"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains(&format!("    --uid {uid} --connection main\n")), "{}", ran.out);
    assert!(
        ran.out.contains("Erased.") && ran.out.contains("Left, of accounts that had this address: "),
        "{}",
        ran.out
    );
    assert_eq!(office.receipts("ann").await["changes"], json!([]));
    assert_eq!(office.receipts("anna").await["changes"].as_array().unwrap().len(), anna);
    assert_eq!(office.journal(&["verify"]).await.code, 0);
    let rest = office.journal(&["forget", "--uid", &uid, "--connection", "main", "--yes"]).await;
    assert_eq!(rest.code, 0, "{rest:?}");
    assert_eq!(office.receipts("anna").await["changes"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_is_shown_tried_again_and_dropped() {
    let office = Office::open().await;
    let (uid, id) = office.without_address("ann").await;
    let list = office.journal(&["rejected", "list"]).await;
    assert_eq!(list.code, 0);
    assert!(
        list.out.contains(&id) && list.out.contains("no_address: an opted-in account without a usable"),
        "{}",
        list.out
    );
    assert!(!list.out.contains(&uid), "the list shows nobody");
    let show = office.journal(&["rejected", "show", &id]).await;
    assert!(show.code == 0 && show.out.contains(&format!("\"uid\": \"{uid}\"")), "{}", show.out);

    // The running replica tries, and finds it as it was.
    let retry = office.journal(&["rejected", "retry", &id]).await;
    assert_eq!(retry.code, 1, "{retry:?}");
    assert!(retry.out.contains("set aside again: no_address; correct the account"), "{}", retry.out);
    let retry = office.journal(&["rejected", "retry", &id, "--now"]).await;
    assert_eq!(retry.code, 1, "{retry:?}");
    assert!(retry.out.contains("rejected: no_address: set aside again"), "{}", retry.out);

    // Somebody corrects the account; of its webhook nothing is heard.
    office.sandbox.gigya.courier().pause(true);
    office.sandbox.gigya.change_email(&uid, &address("ann"));
    assert!(!office.sandbox.esps[0].mails(&address("ann")));
    let retry = office.journal(&["rejected", "retry", "--all", "--now"]).await;
    assert_eq!(retry.code, 0, "{retry:?}");
    assert!(retry.out.contains(&format!("{id}: applied")), "{}", retry.out);
    assert!(office.sandbox.esps[0].mails(&address("ann")));
    assert_ne!(office.receipts("ann").await["changes"], json!([]), "it has a receipt");
    for command in ["show", "drop", "retry"] {
        let gone = office.journal(&["rejected", command, &id]).await;
        assert!(gone.code == 1 && gone.err.contains("no event is set aside under this id"), "{command}: {gone:?}");
    }
    office.sandbox.gigya.courier().pause(false);
    let (_, id) = office.without_address("ben").await;
    let dropped = office.journal(&["rejected", "drop", &id, "nonsense"]).await;
    assert!(dropped.code == 1 && dropped.out.contains(&format!("{id}: dropped")), "{dropped:?}");
    assert_eq!(office.journal(&["rejected", "list"]).await.out, "0 events set aside.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_replica_does_what_it_is_left() {
    let office = Office::open().await;
    let (uid, id) = office.without_address("ann").await;
    office.sandbox.gigya.courier().pause(true);
    office.sandbox.gigya.change_email(&uid, &address("ann"));
    let retry = office.journal(&["rejected", "retry", &id, "--wait", "60"]).await;
    assert_eq!(retry.code, 0, "{retry:?}");
    assert!(retry.out.contains("done by a running replica"), "{}", retry.out);
    assert!(office.sandbox.esps[0].mails(&address("ann")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cant_be_done_now_is_unfinished_and_is_told_as_that() {
    let office = Office::open().await;
    let (uid, id) = office.without_address("ann").await;
    office.sandbox.gigya.courier().pause(true);
    office.sandbox.gigya.change_email(&uid, &address("ann"));
    office.sandbox.campaign_monitor.faults().set_down(true);
    let retry = office.journal(&["rejected", "retry", &id, "--now"]).await;
    assert_eq!(retry.code, 3, "{retry:?}");
    assert!(retry.out.contains("not done: unavailable; it is among the unfinished ones"), "{}", retry.out);
    let pending = office.journal(&["pending", "list"]).await;
    assert!(pending.code == 0 && pending.out.ends_with("1 event unfinished.\n"), "{}", pending.out);
    let forget = office.journal(&["forget", "--uid", &uid, "--yes"]).await;
    assert_eq!(forget.code, 3, "{forget:?}");
    assert!(forget.out.contains("1 event of this person left unfinished"), "{}", forget.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_is_pruned_and_the_chain_holds() {
    let office = Office::open().await;
    office.remembers_others(3).await;
    office.leaver("ann").await;
    let (_, id) = office.without_address("ben").await;
    let ann = office.receipts("ann").await["changes"].clone();
    let kept = office.journal(&["prune", "--dry-run"]).await;
    assert!(kept.code == 0 && kept.out.starts_with("0 receipts"), "three years is how long they are kept: {kept:?}");

    let settings = [("GATEWAY_JOURNAL__KEEP_RECEIPTS", "365d")];
    let dry = office.journal_with(&["prune", "--dry-run"], &settings).await;
    assert!(dry.code == 0 && dry.out.starts_with("3 receipts written before"), "{dry:?}");
    assert!(dry.out.contains("1 event set aside last before") && dry.out.contains("would go"), "{}", dry.out);
    assert_eq!(office.receipts("other0").await["changes"].as_array().unwrap().len(), 1, "nothing went");

    let ran = office.journal_with(&["prune"], &settings).await;
    assert!(ran.code == 0 && ran.out.starts_with("3 receipts written before"), "{ran:?}");
    assert_eq!(office.receipts("other0").await["changes"], json!([]));
    assert_eq!(office.receipts("ann").await["changes"], ann, "what is young stays");
    assert_eq!(office.journal(&["rejected", "show", &id]).await.code, 0);
    let after = office.journal(&["verify"]).await;
    assert!(after.code == 0 && after.out.contains("Those before place 4 were pruned."), "{after:?}");
    let again = office.journal_with(&["prune"], &settings).await;
    assert!(again.out.starts_with("0 receipts"), "{again:?}");

    let expect = format!("{}@1", "00".repeat(32));
    let ran = office.journal(&["verify", "--expect", &expect]).await;
    assert!(ran.code == 1 && ran.out.contains("place 1: what was noted here was pruned since"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_status_says_how_much_there_is() {
    let office = Office::open().await;
    office.leaver("ann").await;
    office.without_address("ben").await;
    let ran = office.journal(&["status", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(
        status["bytes"].as_u64().unwrap() > 10_000 && status["receipts"]["count"].as_u64().unwrap() >= 2,
        "{status}"
    );
    assert_eq!((&status["rejected"]["count"], &status["unfinished"]["count"]), (&json!(1), &json!(0)));
    let table = office.journal(&["status"]).await;
    for line in ["database", "receipts", "links", "set aside", "unfinished"] {
        assert!(table.out.lines().any(|told| told.trim_start().starts_with(line)), "{line}: {}", table.out);
    }
}
