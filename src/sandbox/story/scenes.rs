//! What happens in the story, one person a scene; at the end, fifty at once.

use super::{Line, NEWSLETTER, Stage, WrongEnd, address};
use crate::sandbox::Weather;
use crate::sandbox::campaign_monitor::State;
use std::time::Duration;

/// How many people act in the storm, and how often each.
const PEOPLE: usize = 50;
const ROUNDS: usize = 4;
/// The share of calls that fail in it, on either side.
const STORM: f64 = 0.1;

/// Every scene, in order.
pub async fn all(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.say(Line::Title(
        "A simulated Gigya, a simulated Campaign Monitor, and the real gateway between them.".to_owned(),
    ));
    ann_comes_and_goes(stage).await?;
    ben_leaves_by_a_mail(stage).await?;
    cleo_is_deactivated(stage).await?;
    dan_has_a_lite_account(stage).await?;
    eve_changes_her_address(stage).await?;
    finn_leaves_while_the_esp_is_down(stage).await?;
    echoes_end(stage).await?;
    a_storm(stage).await
}

async fn newcomer(stage: &mut Stage<'_>, name: &str) -> Result<String, WrongEnd> {
    stage.act(&format!("{name} signs up in Gigya and opts in."));
    let uid = stage.sandbox.gigya.sign_up(&address(name), name);
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels(name).await?;
    stage.stands(name, &uid, Some(true), Some(State::Active))?;
    stage.later();
    Ok(uid)
}

async fn ann_comes_and_goes(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "ann").await?;
    stage.note("(Campaign Monitor's Subscribe is the echo of the gateway's own write; this route takes opt-ins from");
    stage.note("Gigya only, so it ends here. Several events of one account are one change.)");

    stage.act("ann changes her first name in Gigya.");
    stage.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    stage.travels("ann's name").await?;
    let there = stage.sandbox.campaign_monitor.subscriber(&stage.sandbox.list, &address("ann"));
    let named = there.as_ref().and_then(|there| there.field("First Name")) == Some("Anna");
    stage.holds(named, "Campaign Monitor calls her Anna")?;

    stage.act("ann opts out in Gigya.");
    stage.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    stage.travels("ann opts out").await?;
    stage.stands("ann", &uid, Some(false), Some(State::Unsubscribed))?;
    stage.later();

    stage.act("ann changes her mind and opts in again: a newer opt-in, which counts.");
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels("ann opts in again").await?;
    stage.stands("ann", &uid, Some(true), Some(State::Active))
}

async fn ben_leaves_by_a_mail(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "ben").await?;
    stage.act("ben follows the unsubscribe link in a mail. Before Gigya hears of it, his profile changes there.");
    stage.sandbox.campaign_monitor.courier().pause(true);
    stage.sandbox.campaign_monitor.unsubscribe_link(&stage.sandbox.list, &address("ben"));
    stage.sandbox.gigya.set_profile(&uid, "firstName", "Benjamin".into());
    // Telling Gigya fires a webhook of its own, which may be answered first.
    let mut answers = vec![stage.next().await?.answer];
    while answers.len() < 3 && !answers.iter().any(|answer| answer.contains("newer_opt_out")) {
        answers.push(stage.next().await?.answer);
    }
    stage.note("(newer_opt_out: the opt-out is newer than the opt-in. It stands, and Gigya is told.)");
    let is_refused = answers.iter().any(|answer| answer.contains("newer_opt_out"));
    stage.holds(is_refused, "a profile update subscribes nobody again")?;
    stage.stands("ben", &uid, Some(false), Some(State::Unsubscribed))?;

    stage.act("Campaign Monitor's callback about it arrives.");
    stage.sandbox.campaign_monitor.courier().pause(false);
    stage.travels("ben's unsubscribe link").await?;
    stage.stands("ben", &uid, Some(false), Some(State::Unsubscribed))?;

    stage.act("ben's profile changes once more.");
    stage.sandbox.gigya.set_profile(&uid, "firstName", "Ben".into());
    stage.travels("ben's name").await?;
    stage.stands("ben", &uid, Some(false), Some(State::Unsubscribed))
}

async fn cleo_is_deactivated(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "cleo").await?;
    stage.act("cleo's account is deactivated: a removal, whatever her flags say.");
    stage.sandbox.gigya.set_active(&uid, false);
    stage.travels("cleo is deactivated").await?;
    stage.stands("cleo", &uid, Some(true), Some(State::Deleted))?;
    stage.later();

    stage.act("It is activated again. Her old opt-in is not newer than the removal.");
    stage.sandbox.gigya.set_active(&uid, true);
    stage.travels("cleo is activated").await?;
    stage.stands("cleo", &uid, Some(true), Some(State::Deleted))
}

async fn dan_has_a_lite_account(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act("dan leaves his address in Gigya, a lite account, and opts in.");
    let uid = stage.sandbox.gigya.sign_up_lite(&address("dan"));
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels("dan opts in").await?;
    stage.stands("dan", &uid, Some(true), Some(State::Active))?;
    stage.later();

    stage.act("dan opts out in Gigya.");
    stage.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    stage.travels("dan opts out").await?;
    stage.stands("dan", &uid, Some(false), Some(State::Unsubscribed))?;
    stage.later();

    stage.act("dan opts in again, and then follows the unsubscribe link in a mail.");
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels("dan opts in again").await?;
    stage.stands("dan", &uid, Some(true), Some(State::Active))?;
    stage.later();
    stage.sandbox.campaign_monitor.unsubscribe_link(&stage.sandbox.list, &address("dan"));
    stage.travels("dan's unsubscribe link").await?;
    stage.stands("dan", &uid, Some(false), Some(State::Unsubscribed))
}

async fn eve_changes_her_address(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "eve").await?;
    stage.act("eve's address becomes evelyn@example.org in Gigya: the subscriber moves.");
    stage.sandbox.gigya.change_email(&uid, &address("evelyn"));
    stage.travels("eve moves").await?;
    stage.stands("evelyn", &uid, Some(true), Some(State::Active))?;
    stage.holds(stage.esp("eve") != Some(State::Active), "nobody is subscribed at the old address")
}

async fn finn_leaves_while_the_esp_is_down(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "finn").await?;
    stage.act("Campaign Monitor goes down. finn opts out in Gigya.");
    stage.sandbox.campaign_monitor.faults().set_down(true);
    stage.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    for _ in 0..2 {
        let answer = stage.next().await?;
        if answer.status != 503 {
            let text = format!("Gigya heard {} although nothing could be forwarded", answer.status);
            return Err(WrongEnd::Wrong(text));
        }
    }
    stage.note("(503: the gateway acknowledges nothing that isn't done. Gigya keeps it, and tries again.)");

    stage.act("Campaign Monitor is back.");
    stage.sandbox.campaign_monitor.faults().set_down(false);
    stage.travels("finn opts out").await?;
    stage.stands("finn", &uid, Some(false), Some(State::Unsubscribed))
}

async fn echoes_end(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act("Nobody does anything for a while.");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let quiet = stage.attempts.is_empty() && stage.sandbox.settled(Duration::ZERO).await;
    stage.holds(quiet, "nothing travels: every echo has ended")
}

async fn a_storm(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act(&format!("{PEOPLE} people sign up and opt in."));
    let (gigya, esp) = (stage.sandbox.gigya.clone(), stage.sandbox.campaign_monitor.clone());
    let list = stage.sandbox.list.clone();
    let name = |n: usize| format!("person{n}");
    let uids: Vec<_> = (0..PEOPLE).map(|n| gigya.sign_up(&address(&name(n)), "")).collect();
    for uid in &uids {
        gigya.subscribe(uid, NEWSLETTER);
    }
    stage.travels_unseen("fifty people sign up").await?;
    let all_in = (0..PEOPLE).all(|n| stage.esp(&name(n)) == Some(State::Active));
    stage.holds(all_in, "all of them are subscribed at Campaign Monitor")?;

    stage.act("One call in ten fails on either side. They opt out and in, here and there, without waiting.");
    gigya.faults().set(Weather::stormy(STORM));
    esp.faults().set(Weather::stormy(STORM));
    let failed_before = gigya.faults().failed() + esp.faults().failed();
    let heard_before = stage.heard;
    let mut chance = fastrand::Rng::with_seed(50);
    let mut said_stop = [false; PEOPLE];
    for _ in 0..ROUNDS {
        stage.later();
        for (n, uid) in uids.iter().enumerate() {
            match chance.u8(0..4) {
                0 => {}
                1 => said_stop[n] |= esp.unsubscribe_link(&list, &address(&name(n))),
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
    stage.travels_unseen("fifty people act").await?;
    let failed = gigya.faults().failed() + esp.faults().failed() - failed_before;
    gigya.faults().set(Weather::default());
    esp.faults().set(Weather::default());

    let requests = stage.heard - heard_before;
    stage.note(&format!("{failed} calls failed; it took {requests} webhook requests."));
    let is_in_gigya = |n: usize| gigya.is_subscribed(&uids[n], NEWSLETTER) == Some(true);
    for (n, said_stop) in said_stop.iter().enumerate() {
        let (here, there) = (is_in_gigya(n), stage.esp(&name(n)));
        if here != (there == Some(State::Active)) {
            let there = there.map_or("nobody", State::name);
            let text = format!("{} ends opted {} in Gigya and {there} at Campaign Monitor", name(n), in_or_out(here));
            return Err(WrongEnd::Wrong(text));
        }
        if *said_stop && here {
            return Err(WrongEnd::Wrong(format!("{} said stop, and is opted in", name(n))));
        }
    }
    let opted_in = (0..PEOPLE).filter(|n| is_in_gigya(*n)).count();
    let wanted = said_stop.iter().filter(|said_stop| !**said_stop).count();
    let text = format!("both sides are equal: {opted_in} in, {} out; {wanted} last said yes", PEOPLE - opted_in);
    stage.holds(opted_in <= wanted, &text)
}

const fn in_or_out(opted_in: bool) -> &'static str {
    if opted_in { "in" } else { "out" }
}
