//! Pruning what is old, and forgetting a person, leave a chain that holds.

use super::shelf::{email, link, linked, main, on_each, opted_out, set_aside, uid, unfinished};
use gigya_esp_gateway::domain::Reason;
use gigya_esp_gateway::journal::{Entries, Journal, Kind, Pruned, Whom};
use std::time::Duration;

#[tokio::test]
async fn old_receipts_are_pruned_and_the_chain_goes_on() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        for n in 0..5 {
            journal.commit(opted_out(&format!("old{n}"), &format!("e{n}"))).await.unwrap();
        }
        journal.commit(set_aside("ann", "old", Reason::Malformed)).await.unwrap();
        shelf.after(Duration::from_hours(24));
        let border = shelf.now();
        journal.commit(opted_out("young", "young")).await.unwrap();
        journal.commit(set_aside("ann", "young", Reason::Malformed)).await.unwrap();
        assert_eq!(journal.prune(border, border).await.unwrap(), Pruned { receipts: 5, rejected: 1 });
        let verified = journal.verify(&[]).await.unwrap();
        assert_eq!((verified.first, verified.broken), (6, vec![]));
        assert_eq!(journal.receipts_at(&email("old0")).await.unwrap().len(), 0);
        assert_eq!(journal.receipts_at(&email("young")).await.unwrap().len(), 1);
        assert_eq!(journal.rejected().await.unwrap().len(), 1);
        // And on, and again.
        journal.commit(opted_out("later", "later")).await.unwrap();
        shelf.after(Duration::from_hours(24));
        let pruned = journal.prune(shelf.now(), shelf.now()).await.unwrap().receipts;
        assert!(pruned >= 2, "{pruned}");
        assert_eq!(journal.verify(&[]).await.unwrap().broken, []);
    })
    .await;
}

#[tokio::test]
async fn two_who_prune_at_once_cut_the_chain_once() {
    on_each(async |shelf| {
        let journals = [shelf.open().await, shelf.open().await];
        for begin in 0..5 {
            for n in 0..50 {
                journals[0].commit(opted_out(&format!("p{n}"), &format!("e{begin}-{n}"))).await.unwrap();
            }
            shelf.after(Duration::from_hours(24));
            let now = shelf.now();
            let pruning = journals.iter().chain(&journals).map(|journal| journal.prune(now, now));
            let pruned = futures_util::future::join_all(pruning).await;
            let gone: u64 = pruned.into_iter().map(|pruned| pruned.unwrap().receipts).sum();
            let verified = journals[1].verify(&[]).await.unwrap();
            assert_eq!(verified.broken, []);
            let remain = verified.last - verified.first + 1;
            assert_eq!((gone, remain), (50 + u64::from(begin > 0), 1), "the pruning's own receipt stays");
        }
    })
    .await;
}

#[tokio::test]
async fn a_person_is_forgotten_and_the_chain_holds() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        for name in ["ann", "ben"] {
            journal.commit(linked(link(name, name), true)).await.unwrap();
            journal.commit(opted_out(name, &format!("of {name}"))).await.unwrap();
            journal.commit(set_aside(name, &format!("of {name}"), Reason::Malformed)).await.unwrap();
        }
        journal.commit(unfinished("ann", "an opt-out, maybe")).await.unwrap();
        let erased = journal.forget(&Whom::Account(main(), uid("ann"))).await.unwrap();
        assert_eq!((erased.receipts, erased.links, erased.rejected, erased.unfinished), (1, 0, 1, 1));
        assert_eq!(journal.receipts_at(&email("ann")).await.unwrap().len(), 0);
        assert_eq!(journal.receipts_at(&email("ben")).await.unwrap().len(), 1);
        assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "ann")], "it is needed");
        assert_eq!(journal.links(&main(), &[&uid("ben")]).await.unwrap(), [link("ben", "ben")]);
        assert_eq!(journal.waiting().await.unwrap().unfinished, 1, "what could be an opt-out is never dropped");
        let verified = journal.verify(&[]).await.unwrap();
        assert_eq!((verified.erased, verified.broken), (1, vec![]));
        let last = journal.receipts_at(&email("ben")).await.unwrap().remove(0);
        assert_ne!(last.kind, Kind::Erasure);
    })
    .await;
}

#[tokio::test]
async fn links_stay_for_as_long_as_something_unfinished_needs_them() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let ann = Whom::Account(main(), uid("ann"));
        for name in ["old", "new"] {
            journal.commit(linked(link("ann", name), true)).await.unwrap();
        }
        journal.commit(linked(link("ann", "old"), false)).await.unwrap();
        // Its deletion was acknowledged; it names the account alone.
        let mut deleted = unfinished("ann", "deleted");
        deleted.unfinished[0].person.address = None;
        journal.commit(deleted).await.unwrap();
        for whom in [&ann, &Whom::Address(email("new"))] {
            let erased = journal.forget(whom).await.unwrap();
            assert_eq!((erased.links, erased.held), (0, 0));
            assert!(erased.kept > 0);
            assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap().len(), 2);
        }
        let claimed = journal.claim("one", Duration::from_mins(1), 16).await.unwrap();
        let finished = vec![claimed[0].id.clone()];
        journal.commit(Entries { finished, ..Entries::default() }).await.unwrap();
        let found = journal.erasable(&ann).await.unwrap();
        assert_eq!((found.links, found.held, found.kept), (2, 1, 0), "one of them a list may hold still");
        assert_eq!(journal.forget(&ann).await.unwrap(), found);
        assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap(), []);
    })
    .await;
}
