//! What happens in the story, one person a scene; at the end, fifty at once (`storm`).

use super::{Line, NEWSLETTER, Stage, There, WrongEnd, address, journal, storm};
use crate::sandbox::SimulatedEsp;
use std::time::Duration;

/// Who leaves by a mail, and who leaves while an ESP is down: somebody for each ESP.
const LEAVE_BY_A_MAIL: [&str; 2] = ["ben", "bella"];
const LEAVE_MEANWHILE: [&str; 2] = ["finn", "fiona"];

/// Every scene, in order.
pub async fn all(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let esps = stage.esps();
    let simulated = esps.iter().map(|esp| format!("a simulated {}", esp.name())).collect::<Vec<_>>().join(", ");
    stage.say(Line::Title(format!("A simulated Gigya, {simulated}, and the real gateway between them.")));
    ann_comes_and_goes(stage).await?;
    for (esp, name) in esps.iter().zip(LEAVE_BY_A_MAIL) {
        somebody_leaves_by_a_mail(stage, esp.as_ref(), name).await?;
    }
    cleo_is_deactivated(stage).await?;
    dan_has_a_lite_account(stage).await?;
    eve_changes_her_address(stage).await?;
    for (esp, name) in esps.iter().zip(LEAVE_MEANWHILE) {
        somebody_leaves_while_an_esp_is_down(stage, esp.as_ref(), name).await?;
    }
    echoes_end(stage).await?;
    storm::comes(stage).await?;
    journal::tells(stage).await
}

async fn newcomer(stage: &mut Stage<'_>, name: &str) -> Result<String, WrongEnd> {
    stage.act(&format!("{name} signs up in Gigya and opts in."));
    let uid = stage.sandbox.gigya.sign_up(&address(name), name);
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels(name).await?;
    stage.stands(name, &uid, Some(true), There::Mailed)?;
    stage.later();
    Ok(uid)
}

async fn ann_comes_and_goes(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "ann").await?;
    stage.note("(An ESP's Subscribe is the echo of the gateway's own write; this route takes opt-ins from Gigya only,");
    stage.note("so it ends here. Several events of one account are one change.)");

    stage.act("ann changes her first name in Gigya.");
    stage.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    stage.travels("ann's name").await?;
    let name_at = |esp: &dyn SimulatedEsp| esp.find(&address("ann")).and_then(|found| found.first_name);
    let named = stage.esps().iter().all(|esp| name_at(esp.as_ref()).as_deref() == Some("Anna"));
    let text = format!("she is Anna at {}", stage.names());
    stage.holds(named, &text)?;

    stage.act("ann opts out in Gigya.");
    stage.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    stage.travels("ann opts out").await?;
    stage.stands("ann", &uid, Some(false), There::OptedOut)?;
    stage.later();

    stage.act("ann changes her mind and opts in again: a newer opt-in, which counts.");
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels("ann opts in again").await?;
    stage.stands("ann", &uid, Some(true), There::Mailed)
}

async fn somebody_leaves_by_a_mail(stage: &mut Stage<'_>, esp: &dyn SimulatedEsp, name: &str) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, name).await?;
    let from = esp.name();
    stage.act(&format!("{name} follows the unsubscribe link in a mail from {from}; meanwhile the account changes."));
    esp.courier().pause(true);
    let followed = esp.unsubscribe_link(&address(name));
    stage.sandbox.gigya.set_profile(&uid, "firstName", "Another".into());
    let answered = stage.travels_but(esp, name).await?;
    stage.note("(newer_opt_out: the opt-out is newer than the opt-in. It stands, and Gigya is told.)");
    let is_refused = answered.iter().any(|attempt| attempt.answer.contains("newer_opt_out"));
    stage.holds(followed && is_refused, "a profile update subscribes nobody again")?;
    stage.stands(name, &uid, Some(false), There::OptedOut)?;

    stage.act(&format!("{from}'s callback about it arrives."));
    esp.courier().pause(false);
    stage.travels(name).await?;
    stage.stands(name, &uid, Some(false), There::OptedOut)?;

    stage.act(&format!("{name}'s profile changes once more."));
    stage.sandbox.gigya.set_profile(&uid, "firstName", "Third".into());
    stage.travels(name).await?;
    stage.stands(name, &uid, Some(false), There::OptedOut)
}

async fn cleo_is_deactivated(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "cleo").await?;
    stage.act("cleo's account is deactivated: a removal, whatever her flags say.");
    stage.sandbox.gigya.set_active(&uid, false);
    stage.travels("cleo is deactivated").await?;
    stage.stands("cleo", &uid, Some(true), There::Removed)?;
    stage.later();

    stage.act("It is activated again. Her old opt-in is not newer than the removal.");
    stage.sandbox.gigya.set_active(&uid, true);
    stage.travels("cleo is activated").await?;
    // Where a removal is an unsubscribe, it counts as one, and Gigya is told of it.
    let flag = stage.sandbox.gigya.is_subscribed(&uid, NEWSLETTER);
    stage.stands("cleo", &uid, flag, There::Removed)
}

async fn dan_has_a_lite_account(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act("dan leaves his address in Gigya, a lite account, and opts in.");
    let uid = stage.sandbox.gigya.sign_up_lite(&address("dan"));
    stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    stage.travels("dan opts in").await?;
    stage.stands("dan", &uid, Some(true), There::Mailed)?;
    stage.later();

    stage.act("dan opts out in Gigya.");
    stage.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    stage.travels("dan opts out").await?;
    stage.stands("dan", &uid, Some(false), There::OptedOut)?;
    stage.later();

    for esp in stage.esps() {
        stage.act(&format!("dan opts in again, and then follows the unsubscribe link in a mail from {}.", esp.name()));
        stage.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        stage.travels("dan opts in again").await?;
        stage.stands("dan", &uid, Some(true), There::Mailed)?;
        stage.later();
        esp.unsubscribe_link(&address("dan"));
        stage.travels("dan's unsubscribe link").await?;
        stage.stands("dan", &uid, Some(false), There::OptedOut)?;
        stage.later();
    }
    Ok(())
}

async fn eve_changes_her_address(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, "eve").await?;
    stage.act("eve's address becomes evelyn@example.org in Gigya: the subscriber goes with it.");
    stage.sandbox.gigya.change_email(&uid, &address("evelyn"));
    stage.travels("eve moves").await?;
    stage.stands("evelyn", &uid, Some(true), There::Mailed)?;
    let old_address_is_mailed = stage.esps().iter().any(|esp| esp.mails(&address("eve")));
    stage.holds(!old_address_is_mailed, "nobody is subscribed at the old address")
}

async fn somebody_leaves_while_an_esp_is_down(
    stage: &mut Stage<'_>,
    esp: &dyn SimulatedEsp,
    name: &str,
) -> Result<(), WrongEnd> {
    let uid = newcomer(stage, name).await?;
    stage.act(&format!("{} goes down. {name} opts out in Gigya.", esp.name()));
    esp.faults().set_down(true);
    stage.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    let mut put_off = 0;
    while put_off < 2 {
        let answer = stage.next().await?;
        match (answer.sender, answer.status) {
            ("Gigya", 503) => put_off += 1,
            ("Gigya", status) => {
                let text = format!("Gigya heard {status} although {} was told nothing", esp.name());
                return Err(WrongEnd::Wrong(text));
            }
            _ => {}
        }
    }
    stage.note("(503: the gateway acknowledges nothing that isn't done. Gigya keeps it, and tries again.)");
    for other in stage.esps().iter().filter(|other| other.slug() != esp.slug()) {
        let told = There::OptedOut.is(other.find(&address(name)).as_ref());
        stage.holds(told, &format!("{} was told all the same", other.name()))?;
    }

    stage.act(&format!("{} is back.", esp.name()));
    esp.faults().set_down(false);
    stage.travels(name).await?;
    stage.stands(name, &uid, Some(false), There::OptedOut)
}

async fn echoes_end(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act("Nobody does anything for a while.");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let quiet = stage.attempts.is_empty() && stage.sandbox.settled(Duration::ZERO).await;
    stage.holds(quiet, "nothing travels: every echo has ended")
}
