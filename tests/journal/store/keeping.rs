//! Links, and events set aside.

use super::shelf::{email, left, link, linked, main, on_each, set_aside, uid};
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
        let of_ann = journal.links(&main(), &[&uid("ann")]).await.unwrap();
        assert_eq!(of_ann, [link("ann", "new"), left(link("ann", "old"))], "it is told of for a day");
        assert_eq!(journal.uids_at(&main(), &email("old")).await.unwrap(), [uid("ben")]);
        shelf.after(Duration::from_hours(25));
        assert_eq!(journal.tidy().await.unwrap(), 1);
        assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap(), [link("ann", "new")]);
        // Written anew meanwhile, it is nobody's to give up who knows the former writing only.
        let anew = Link { hold: 8, ..link("ann", "new") };
        journal.commit(linked(anew.clone(), true)).await.unwrap();
        journal.commit(linked(link("ann", "new"), false)).await.unwrap();
        assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap(), [anew]);
    })
    .await;
}

#[tokio::test]
async fn of_one_commit_links_are_made_first_and_given_up_then() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        let mut entries = Entries::default();
        for (address, holds) in [("old", true), ("old", false), ("new", false), ("new", true)] {
            entries.append(linked(link("ann", address), holds));
        }
        journal.commit(entries).await.unwrap();
        let of_ann = journal.links(&main(), &[&uid("ann")]).await.unwrap();
        assert!(of_ann.len() == 2 && of_ann.iter().all(|link| link.is_left), "{of_ann:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_made_to_be_given_up_gives_up_nothing_that_somebody_else_made() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        // A former UID's links are taken over, and given up, while its person goes back to one of the addresses.
        let taken_over = |address: &str| {
            let mut entries = linked(link("ann", address), true);
            entries.append(linked(link("ann", address), false));
            entries
        };
        let back = Link { hold: 8, ..link("ann", "before") };
        journal.commit(linked(back.clone(), true)).await.unwrap();
        journal.commit(taken_over("before")).await.unwrap();
        assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap(), std::slice::from_ref(&back));
        // In one commit with it, which of them comes first doesn't matter.
        for (mut first, second) in [
            (linked(Link { hold: 8, ..link("ann", "a") }, true), taken_over("a")),
            (taken_over("b"), linked(Link { hold: 8, ..link("ann", "b") }, true)),
        ] {
            first.append(second);
            journal.commit(first).await.unwrap();
        }
        journal.commit(taken_over("new")).await.unwrap();
        let mut found = journal.links(&main(), &[&uid("ann")]).await.unwrap();
        found.sort_by_key(|link| link.address.expose().to_owned());
        let live = |address: &str| Link { address: email(address), ..back.clone() };
        assert_eq!(found, [live("a"), live("b"), back.clone(), left(link("ann", "new"))]);
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

async fn journal_is_readable(journal: &dyn Journal) {
    assert!(journal.links(&main(), &[&uid("ann")]).await.unwrap().len() <= 7);
}

#[tokio::test]
async fn all_that_was_given_up_long_ago_is_taken_off_and_nothing_else() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        for day in 0..3 {
            let mut entries = Entries::default();
            for n in 0..800 {
                entries.append(linked(link("ann", &format!("a{day}-{n}")), true));
                if n > 0 {
                    entries.append(linked(link("ann", &format!("a{day}-{n}")), false));
                }
            }
            journal.commit(entries).await.unwrap();
            shelf.after(Duration::from_hours(15));
        }
        assert_eq!(journal.tidy().await.unwrap(), 2 * 799);
        assert_eq!(journal.links(&main(), &[&uid("ann")]).await.unwrap().len(), 2 + 800);
        assert_eq!(journal.tidy().await.unwrap(), 0);
    })
    .await;
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
async fn many_events_are_set_aside_at_once_each_as_often_as_it_came() {
    on_each(async |shelf| {
        let journal = shelf.open().await;
        for _ in 0..2 {
            let mut many = Entries::default();
            for n in 0..100 {
                many.append(set_aside("ann", &format!("e{n}"), Reason::AddressUnknown));
                many.append(set_aside("ann", &format!("e{}", n / 2), Reason::Malformed));
            }
            journal.commit(many).await.unwrap();
        }
        let all = journal.rejected().await.unwrap();
        assert_eq!((all.len(), all.iter().map(|one| one.times).sum::<i64>()), (100, 400));
        let times = |event: &str| all.iter().find(|one| one.event.event == event).unwrap().times;
        assert_eq!((times("e7"), times("e70")), (6, 2));
        assert!(all.iter().all(|one| one.payload == format!("payload of {}", one.event.event).into_bytes()));
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
