//! The end of the story: fifty people at once, while every system fails now and then.

use super::{NEWSLETTER, Stage, WrongEnd, address};
use crate::sandbox::esp::Standing;
use crate::sandbox::gigya::GigyaSim;
use crate::sandbox::{Faults, Weather};
use std::time::Duration;

/// How many people act in the storm, and how often each.
const PEOPLE: usize = 50;
const ROUNDS: usize = 4;
/// The share of calls that fail in it, at every system.
const STORM: f64 = 0.1;

/// It comes, and passes.
pub async fn comes(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act(&format!("{PEOPLE} people sign up and opt in."));
    let gigya = stage.sandbox.gigya.clone();
    let uids: Vec<_> = (0..PEOPLE).map(|n| gigya.sign_up(&of_person(n), "")).collect();
    for uid in &uids {
        gigya.subscribe(uid, NEWSLETTER);
    }
    stage.travels_unseen("fifty people sign up").await?;
    let all_in = stage.esps().iter().all(|esp| (0..PEOPLE).all(|n| esp.mails(&of_person(n))));
    let text = format!("all of them are subscribed at {}", stage.names());
    stage.holds(all_in, &text)?;

    stage.act("One call in ten fails, everywhere. They opt out and in, here and there, without waiting.");
    let systems: Vec<Faults> = stage.sandbox.faults().cloned().collect();
    let failed = || systems.iter().map(Faults::failed).sum::<u64>();
    let (failed_before, heard_before) = (failed(), stage.heard);
    for system in &systems {
        system.set(Weather::stormy(STORM));
    }
    let said_stop = people_act(stage, &uids).await;
    stage.travels_unseen("fifty people act").await?;
    for system in &systems {
        system.set(Weather::default());
    }
    let (failed, requests) = (failed() - failed_before, stage.heard - heard_before);
    stage.note(&format!("{failed} calls failed; it took {requests} webhook requests."));
    all_are_equal(stage, &gigya, &uids, &said_stop)
}

fn of_person(n: usize) -> String {
    address(&format!("person{n}"))
}

/// Everybody acts, again and again. Returns whose last word was to stop.
async fn people_act(stage: &Stage<'_>, uids: &[String]) -> [bool; PEOPLE] {
    let (gigya, esps) = (stage.sandbox.gigya.clone(), stage.esps());
    let mut chance = fastrand::Rng::with_seed(50);
    let mut said_stop = [false; PEOPLE];
    for _ in 0..ROUNDS {
        stage.later();
        for (n, uid) in uids.iter().enumerate() {
            match chance.u8(0..4) {
                0 => {}
                1 => {
                    let esp = &esps[chance.usize(0..esps.len())];
                    said_stop[n] |= esp.unsubscribe_link(&of_person(n));
                }
                _ if gigya.is_subscribed(uid, NEWSLETTER) == Some(true) => {
                    gigya.unsubscribe(uid, NEWSLETTER);
                    said_stop[n] = true;
                }
                _ => {
                    gigya.subscribe(uid, NEWSLETTER);
                    said_stop[n] = false;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    said_stop
}

fn all_are_equal(
    stage: &mut Stage<'_>,
    gigya: &GigyaSim,
    uids: &[String],
    said_stop: &[bool; PEOPLE],
) -> Result<(), WrongEnd> {
    let is_in_gigya = |n: usize| gigya.is_subscribed(&uids[n], NEWSLETTER) == Some(true);
    for (n, said_stop) in said_stop.iter().enumerate() {
        let here = is_in_gigya(n);
        for esp in stage.esps() {
            let there = esp.find(&of_person(n));
            if here != there.as_ref().is_some_and(|there| there.standing == Standing::Mailed) {
                let there = there.map_or("nobody", |there| there.state);
                let text = format!("person{n} ends opted {} in Gigya and {there} at {}", in_or_out(here), esp.name());
                return Err(WrongEnd::Wrong(text));
            }
        }
        if *said_stop && here {
            return Err(WrongEnd::Wrong(format!("person{n} said stop, and is opted in")));
        }
    }
    let opted_in = (0..PEOPLE).filter(|n| is_in_gigya(*n)).count();
    let wanted = said_stop.iter().filter(|said_stop| !**said_stop).count();
    let text = format!("all sides are equal: {opted_in} in, {} out; {wanted} last said yes", PEOPLE - opted_in);
    stage.holds(opted_in <= wanted, &text)
}

const fn in_or_out(opted_in: bool) -> &'static str {
    if opted_in { "in" } else { "out" }
}
