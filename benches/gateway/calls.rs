//! How often the gateway calls, in bursts of events. Asserted, as it doesn't depend on the machine.

use crate::report::Report;
use crate::world::{Calls, World, address, ordinary};
use gigya_esp_gateway::sandbox::campaign_monitor::CampaignMonitorSim;
use std::time::Duration;

/// Requests under way at once, where they are.
const AT_ONCE: usize = 64;

/// Tells the calls that bursts of 1,000 events make; of 60 if `quick`.
pub async fn measure(report: &mut Report, quick: bool) {
    let (many, a_body) = if quick { (60, 20) } else { (1000, 100) };
    let world = World::start(ordinary(), false, None).await;
    let mut rows = Vec::new();
    many_accounts(&world, report, &mut rows, many, a_body).await;
    one_account(&world, report, &mut rows, many, a_body).await;
    callbacks(report, &mut rows, many).await;
    let heads = ["burst", "first reads", "reads beyond", "looks at the ESP", "ESP writes", "Gigya writes"];
    report.table(&format!("Calls made upstream by {many} events"), &heads, &rows);
}

/// Each of them of another account: opt-ins, nothing new, opt-outs.
async fn many_accounts(world: &World, report: &mut Report, rows: &mut Vec<Vec<String>>, many: usize, a_body: usize) {
    let uids = world.people(many);
    let all = many as u64;
    for (name, change, writes) in [
        ("opt-ins of many accounts", Some(true), all),
        ("the same again: nothing changed", None, 0),
        ("opt-outs of many accounts", Some(false), all),
        ("the same again: still out", None, 0),
    ] {
        if let Some(subscribed) = change {
            world.set(&uids, subscribed);
        }
        let before = world.calls();
        for body in uids.chunks(a_body) {
            world.send(world.notify(body)).await;
        }
        let calls = world.calls().since(before);
        rows.push(row(name, calls, all));
        report.must(calls.writes == writes, &format!("{name}: {writes} writes, not {}", calls.writes));
        report.must(calls.writes_to_gigya == 0, &format!("{name}: Gigya is told nothing that it told"));
        // One read first; and one after what was written, as somebody may have changed their mind meanwhile.
        let (reads, due) = (calls.reads, all + writes);
        report.must(reads == due, &format!("{name}: {due} reads, not {reads}"));
        report.must(calls.looks <= all, &format!("{name}: {} looks at the ESP, not {all} at most", calls.looks));
    }
}

/// All of them of one account: in full bodies one after the other, and each alone, many at once.
async fn one_account(world: &World, report: &mut Report, rows: &mut Vec<Vec<String>>, many: usize, a_body: usize) {
    let uid = world.sandbox.gigya.sign_up("one@example.org", "Ann");
    let uids = vec![uid; many];
    let bodies = (many / a_body) as u64;
    world.set(&uids[..1], true);
    let before = world.calls();
    for body in uids.chunks(a_body) {
        world.send(world.notify(body)).await;
    }
    let calls = world.calls().since(before);
    rows.push(row(&format!("one account, {bodies} bodies one after the other"), calls, bodies));
    report.must(calls.writes == 1, &format!("one account: one write, not {}", calls.writes));
    let (reads, due) = (calls.reads, bodies + 1);
    report.must(reads == due, &format!("one account: one read a body and one after the write, {due}, not {reads}"));

    let before = world.calls();
    let each = uids.chunks(1).map(|one| world.notify(one)).collect();
    world.send_all(each, AT_ONCE).await;
    let calls = world.calls().since(before);
    let name = format!("one account, unchanged, {many} bodies, {AT_ONCE} at once");
    rows.push(row(&name, calls, many as u64));
    report.must(calls.writes == 0, &format!("{name}: no write, not {}", calls.writes));
    report.must(calls.reads <= many as u64, &format!("{name}: one read a body at most, not {}", calls.reads));

    world.set(&uids[..1], false);
    let before = world.calls();
    let each = uids.chunks(1).map(|one| world.notify(one)).collect();
    world.send_all(each, AT_ONCE).await;
    let calls = world.calls().since(before);
    let name = format!("one account, opt-out, {many} bodies, {AT_ONCE} at once");
    rows.push(row(&name, calls, many as u64));
    report.must(calls.writes == 1, &format!("{name}: one write, not {}", calls.writes));
    report.must(calls.reads <= many as u64, &format!("{name}: one read a body at most, not {}", calls.reads));
}

/// Unsubscribed by links, told in one body.
async fn callbacks(report: &mut Report, rows: &mut Vec<Vec<String>>, many: usize) {
    let world = World::start(ordinary(), false, None).await;
    let uids = world.people(many);
    world.set(&uids, true);
    for body in uids.chunks(100) {
        world.send(world.notify(body)).await;
    }
    let (before, all) = (world.calls(), many as u64);
    let esp: &CampaignMonitorSim = &world.sandbox.campaign_monitor;
    let mut attempts = world.sandbox.attempts.subscribe();
    esp.courier().pause(true);
    esp.courier().set_temper(gigya_esp_gateway::sandbox::Temper { batch: many, ..esp.courier().temper() });
    // What opted them in was told to nobody, and isn't from now on either.
    esp.courier().forget();
    esp.register(&world.sandbox.callback_url(0));
    for n in 0..many {
        assert!(esp.unsubscribe_link(&world.sandbox.list, &address(n)));
    }
    esp.courier().pause(false);
    assert!(esp.courier().settled(Duration::from_mins(2)).await, "callbacks are answered");
    let calls = world.calls().since(before);
    let name = "opt-outs by links, one body of callbacks";
    // Whether the answer came in time is another part's matter; what came again was found done.
    let mut bodies = 0;
    while let Ok(attempt) = attempts.try_recv() {
        bodies += u64::from(attempt.sender == "Campaign Monitor");
    }
    rows.push(row(&format!("{name} (sent {bodies} times)"), calls, all));
    let told = calls.writes_to_gigya;
    report.must(told == all, &format!("{name}: {all} writes to Gigya, not {told}"));
    let most = all * bodies;
    report.must(calls.reads <= most, &format!("{name}: {most} reads at most, not {}", calls.reads));
    report.must(calls.writes == 0, &format!("{name}: nothing is written back, not {}", calls.writes));
}

/// Of the reads, `first` are one for each account in each body, without which nothing could be decided. What is beyond them
/// are looks after writes. (Told apart by number: a simulator sees calls, not why they are made.)
fn row(name: &str, calls: Calls, first: u64) -> Vec<String> {
    let before = calls.reads.min(first);
    let numbers = [before, calls.reads - before, calls.looks, calls.writes, calls.writes_to_gigya];
    std::iter::once(name.to_owned()).chain(numbers.map(|number| number.to_string())).collect()
}
