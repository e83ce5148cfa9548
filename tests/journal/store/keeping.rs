//! Links, and events set aside.

use super::shelf::{email, link, linked, main, on_each, set_aside, uid};
use gigya_esp_gateway::domain::Reason;
use gigya_esp_gateway::journal::{Entries, Journal, Link};
use std::time::Duration;

#[tokio::test]
async fn links_are_found_from_both_ends_and_given_up() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        journal.commit(linked(link("ann", "old"), true)).await.unwrap();
        shelf.after(Duration::from_secs(1));
        journal.commit(linked(link("ann", "new"), true)).await.unwrap();
        journal.commit(linked(link("ben", "old"), true)).await.unwrap();
        let mut of_ann = journal.links(&main(), &[&uid("ann"), &uid("nobody")]).await.unwrap();
        of_ann.sort_by_key(|link| link.address.expose().to_owned());
        assert_eq!(of_ann, [link("ann", "new"), link("ann", "old")]);
        assert_eq!(
            journal.uids_at(&main(), &email("OLD")).await.unwrap(),
            [uid("ben"), uid("ann")],
            "the latest first"
        );
        journal.commit(linked(link("ann", "old"), false)).await.unwrap();
        assert_eq!(held(&journal, "ann").await, [link("ann", "new")]);
        // One that was given up is still looked at for a while: a call may have been on its way.
        let left = journal.links(&main(), &[&uid("ann")]).await.unwrap().into_iter().filter(|link| link.is_left);
        assert_eq!(left.map(|link| link.address).collect::<Vec<_>>(), [email("old")]);
    })
    .await;
}

#[tokio::test]
async fn of_one_commit_the_last_change_of_a_link_counts() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let mut entries = Entries::default();
        // The new one is written anew, so giving the former writing up does nothing.
        for (address, hold, holds) in [("old", 7, true), ("old", 7, false), ("new", 6, false), ("new", 7, true)] {
            entries.append(linked(Link { hold, ..link("ann", address) }, holds));
        }
        journal.commit(entries).await.unwrap();
        assert_eq!(held(&journal, "ann").await, [link("ann", "new")]);
    })
    .await;
}

#[tokio::test]
async fn replicas_that_change_the_same_links_at_once_all_come_through() {
    on_each(async |shelf| {
        let replicas = [shelf.open().await, shelf.open().await];
        let commits = (0..200).map(|n| {
            let mut entries = Entries::default();
            for address in 0..5 {
                let holds = (n + address) % 3 > 0;
                entries.append(linked(link("ann", &format!("a{}", (n + address) % 7)), holds));
            }
            let replica = &replicas[n % 2];
            async move { replica.commit(entries).await }
        });
        for committed in futures_util::future::join_all(commits).await {
            committed.unwrap();
        }
        journal_is_readable(&replicas[0]).await;
    })
    .await;
}

async fn held(journal: &dyn Journal, name: &str) -> Vec<Link> {
    let links = journal.links(&main(), &[&uid(name)]).await.unwrap();
    links.into_iter().filter(|link| !link.is_left).collect()
}

async fn journal_is_readable(journal: &dyn Journal) {
    assert!(journal.links(&main(), &[&uid("ann")]).await.unwrap().len() <= 7);
}

#[tokio::test]
async fn an_event_set_aside_again_is_the_same_one() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        journal.commit(set_aside("ann", "e1", Reason::AddressUnknown)).await.unwrap();
        shelf.after(Duration::from_hours(1));
        journal.commit(set_aside("ann", "e1", Reason::RefusedByOtherSide)).await.unwrap();
        journal.commit(set_aside("ben", "e2", Reason::Malformed)).await.unwrap();
        let all = journal.rejected().await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].times, all[0].reason.as_str()), (2, "refused_by_other_side"));
        assert_eq!(all[0].last.duration_since(all[0].first).as_hours(), 1);
        assert_eq!(all[0].payload, b"payload of e1");
        assert_eq!(journal.waiting().await.unwrap().rejected, 2);
        assert!(journal.drop_rejected(&all[1].id).await.unwrap());
        assert!(!journal.drop_rejected(&all[1].id).await.unwrap(), "it is gone");
    })
    .await;
}

#[tokio::test]
async fn retrying_puts_an_event_among_the_unfinished_ones_once() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        journal.commit(set_aside("ann", "e1", Reason::Malformed)).await.unwrap();
        let rejected = journal.rejected().await.unwrap().remove(0);
        assert!(journal.retry(&rejected, None).await.unwrap().is_some());
        assert!(journal.retry(&rejected, None).await.unwrap().is_none());
        let waiting = journal.waiting().await.unwrap();
        assert_eq!((waiting.unfinished, waiting.rejected), (1, 0));
    })
    .await;
}
