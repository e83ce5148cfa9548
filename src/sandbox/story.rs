//! The story that `sandbox --script` plays: people act on both sides, and after every act both sides must stand
//! as the person wants it.

use super::campaign_monitor::State;
use super::{NotStarted, Sandbox, Setup, Temper, Weather};
use std::fmt::Write as _;
use std::time::Duration;

/// The subscription that the story is about.
const NEWSLETTER: &str = "newsletter";
/// How long a side may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a story went wrong.
#[derive(Debug, thiserror::Error)]
pub enum WrongEnd {
    /// The sandbox didn't start.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// Webhooks were still not answered 2xx when patience ended.
    #[error("{0}: webhooks are still not settled after {PATIENCE:?}")]
    NeverSettled(String),
    /// A side stands otherwise than it should.
    #[error("{0}")]
    Wrong(String),
}

/// Plays the story; `say` hears each line of it.
pub async fn play(mut say: impl FnMut(&str)) -> Result<(), WrongEnd> {
    let mut stage = Stage::set(&mut say).await?;
    stage.ann_comes_and_goes().await?;
    stage.ben_leaves_by_a_mail().await?;
    stage.cleo_is_deactivated().await?;
    stage.dan_has_a_lite_account().await?;
    stage.eve_changes_her_address().await?;
    stage.finn_leaves_while_the_esp_is_down().await?;
    stage.fifty_people_in_a_storm().await?;
    stage.say("Both sides are equal. Nobody is mailed who said stop.");
    Ok(())
}

struct Stage<'a> {
    sandbox: Sandbox,
    attempts: tokio::sync::broadcast::Receiver<super::Attempt>,
    say: &'a mut dyn FnMut(&str),
}

impl<'a> Stage<'a> {
    async fn set(say: &'a mut dyn FnMut(&str)) -> Result<Self, WrongEnd> {
        let setup = Setup {
            gigya_lines: "deadline = \"3s\"\nattempt_timeout = \"400ms\"".to_owned(),
            campaign_monitor_lines: "deadline = \"3s\"\nattempt_timeout = \"400ms\"".to_owned(),
            ..Setup::default()
        };
        let sandbox = Sandbox::start(setup).await?;
        let temper = Temper { longest_interval: Duration::from_secs(1), ..Temper::default() };
        sandbox.gigya.courier().set_temper(temper);
        sandbox.campaign_monitor.courier().set_temper(temper);
        say("A simulated Gigya, a simulated Campaign Monitor, and the real gateway between them.");
        let attempts = sandbox.attempts.subscribe();
        Ok(Self { sandbox, attempts, say })
    }

    fn say(&mut self, line: &str) {
        (self.say)(line);
    }

    /// Somebody acts; webhooks travel until everything is settled, and what was answered is told.
    async fn scene(&mut self, act: &str) -> Result<(), WrongEnd> {
        self.say(&format!("\n* {act}"));
        let settled = self.sandbox.settled(PATIENCE).await;
        while let Ok(attempt) = self.attempts.try_recv() {
            let mut line = format!("    {} sent {}", attempt.sender, attempt.types.join(", "));
            if attempt.number > 1 {
                let _ = write!(line, " (attempt {})", attempt.number);
            }
            let _ = write!(line, " -> {} {}", attempt.status, outcomes(&attempt.answer));
            self.say(&line);
        }
        if settled { Ok(()) } else { Err(WrongEnd::NeverSettled(act.to_owned())) }
    }

    /// Both sides must stand like this.
    fn expect(&mut self, name: &str, uid: &str, gigya: Option<bool>, esp: Option<State>) -> Result<(), WrongEnd> {
        let stands = (self.sandbox.gigya.is_subscribed(uid, NEWSLETTER), self.esp(name));
        let told = |(gigya, esp): (Option<bool>, Option<State>)| {
            let gigya = match gigya {
                Some(true) => "opted in",
                Some(false) => "opted out",
                None => "unknown",
            };
            format!("Gigya: {gigya}; Campaign Monitor: {}", esp.map_or("not there", State::name))
        };
        self.say(&format!("    {}", told(stands)));
        if stands == (gigya, esp) {
            return Ok(());
        }
        Err(WrongEnd::Wrong(format!("{name} should stand as {}, and stands as {}", told((gigya, esp)), told(stands))))
    }

    fn esp(&self, name: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, &address(name))
    }

    /// Times at Campaign Monitor are told by the second.
    fn later(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }

    async fn newcomer(&mut self, name: &str) -> Result<String, WrongEnd> {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.scene(&format!("{name} signs up in Gigya and opts in.")).await?;
        self.expect(name, &uid, Some(true), Some(State::Active))?;
        self.later();
        Ok(uid)
    }

    async fn ann_comes_and_goes(&mut self) -> Result<(), WrongEnd> {
        let uid = self.newcomer("ann").await?;
        self.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
        self.scene("ann changes her first name in Gigya.").await?;
        let there = self.sandbox.campaign_monitor.subscriber(&self.sandbox.list, &address("ann"));
        if there.as_ref().and_then(|there| there.field("First Name")) != Some("Anna") {
            return Err(WrongEnd::Wrong("ann's first name did not arrive at Campaign Monitor".to_owned()));
        }
        self.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        self.scene("ann opts out in Gigya.").await?;
        self.expect("ann", &uid, Some(false), Some(State::Unsubscribed))?;
        self.later();
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.scene("ann changes her mind and opts in again: a newer opt-in.").await?;
        self.expect("ann", &uid, Some(true), Some(State::Active))
    }

    async fn ben_leaves_by_a_mail(&mut self) -> Result<(), WrongEnd> {
        let uid = self.newcomer("ben").await?;
        // Gigya gets to know of it late.
        self.sandbox.campaign_monitor.courier().pause(true);
        self.sandbox.campaign_monitor.unsubscribe_link(&self.sandbox.list, &address("ben"));
        self.sandbox.gigya.set_profile(&uid, "firstName", "Benjamin".into());
        self.say("\n* ben follows the unsubscribe link in a mail. Before that arrives, his profile changes in Gigya.");
        self.sandbox.gigya.courier().settled(PATIENCE).await;
        self.expect("ben", &uid, Some(false), Some(State::Unsubscribed))?;
        self.sandbox.campaign_monitor.courier().pause(false);
        self.scene("The unsubscribe callback arrives.").await?;
        self.expect("ben", &uid, Some(false), Some(State::Unsubscribed))
    }

    async fn cleo_is_deactivated(&mut self) -> Result<(), WrongEnd> {
        let uid = self.newcomer("cleo").await?;
        self.sandbox.gigya.set_active(&uid, false);
        self.scene("cleo's account is deactivated: a removal, whatever her flags say.").await?;
        self.expect("cleo", &uid, Some(true), Some(State::Deleted))?;
        self.sandbox.gigya.set_active(&uid, true);
        self.scene("It is activated again: no opt-in is newer than the removal.").await?;
        self.expect("cleo", &uid, Some(true), Some(State::Deleted))
    }

    async fn dan_has_a_lite_account(&mut self) -> Result<(), WrongEnd> {
        let uid = self.sandbox.gigya.sign_up_lite(&address("dan"));
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.scene("dan leaves his address in Gigya, without a password, and opts in.").await?;
        self.expect("dan", &uid, Some(true), Some(State::Active))?;
        self.later();
        self.sandbox.campaign_monitor.unsubscribe_link(&self.sandbox.list, &address("dan"));
        self.scene("dan follows the unsubscribe link in a mail.").await?;
        self.expect("dan", &uid, Some(false), Some(State::Unsubscribed))
    }

    async fn eve_changes_her_address(&mut self) -> Result<(), WrongEnd> {
        let uid = self.newcomer("eve").await?;
        self.sandbox.gigya.change_email(&uid, &address("evelyn"));
        self.scene("eve's address becomes evelyn@example.org in Gigya: the subscriber moves.").await?;
        self.expect("evelyn", &uid, Some(true), Some(State::Active))?;
        self.expect("eve", &uid, Some(true), None)
    }

    async fn finn_leaves_while_the_esp_is_down(&mut self) -> Result<(), WrongEnd> {
        let uid = self.newcomer("finn").await?;
        self.sandbox.campaign_monitor.faults().set_down(true);
        self.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        self.say("\n* Campaign Monitor goes down. finn opts out in Gigya.");
        let Ok(Ok(first)) = tokio::time::timeout(PATIENCE, self.attempts.recv()).await else {
            return Err(WrongEnd::NeverSettled("finn opts out".to_owned()));
        };
        self.say(&format!("    Gigya sent {} -> {} {}", first.types.join(", "), first.status, outcomes(&first.answer)));
        if first.status != 503 {
            return Err(WrongEnd::Wrong(format!("Gigya heard {} although nothing was forwarded", first.status)));
        }
        self.sandbox.campaign_monitor.faults().set_down(false);
        self.scene("Campaign Monitor is back; Gigya delivers again.").await?;
        self.expect("finn", &uid, Some(false), Some(State::Unsubscribed))
    }

    async fn fifty_people_in_a_storm(&mut self) -> Result<(), WrongEnd> {
        self.say("\n* Fifty people opt in and out on both sides, while one call in ten fails on either.");
        let gigya = self.sandbox.gigya.clone();
        let esp = self.sandbox.campaign_monitor.clone();
        let name = |n: usize| format!("person{n}");
        let uids: Vec<_> = (0..50).map(|n| gigya.sign_up(&address(&name(n)), "")).collect();
        for uid in &uids {
            gigya.subscribe(uid, NEWSLETTER);
        }
        self.settled_quietly("fifty people sign up").await?;
        self.later();
        gigya.faults().set(Weather::stormy(0.1));
        esp.faults().set(Weather::stormy(0.1));
        for (n, uid) in uids.iter().enumerate() {
            match n % 3 {
                0 => gigya.unsubscribe(uid, NEWSLETTER),
                1 => _ = esp.unsubscribe_link(&self.sandbox.list, &address(&name(n))),
                _ => gigya.set_profile(uid, "city", "Paris".into()),
            }
        }
        self.settled_quietly("fifty people act").await?;
        let failed = gigya.faults().failed() + esp.faults().failed();
        gigya.faults().set(Weather::default());
        esp.faults().set(Weather::default());
        for (n, uid) in uids.iter().enumerate() {
            let stays = n % 3 == 2;
            let stands = (gigya.is_subscribed(uid, NEWSLETTER), self.esp(&name(n)) == Some(State::Active));
            if stands != (Some(stays), stays) {
                return Err(WrongEnd::Wrong(format!("{} ends as {stands:?}", name(n))));
            }
        }
        self.say(&format!("    {failed} calls failed; everybody ended as they wanted."));
        Ok(())
    }

    async fn settled_quietly(&mut self, what: &str) -> Result<(), WrongEnd> {
        let settled = self.sandbox.settled(PATIENCE * 2).await;
        while self.attempts.try_recv().is_ok() {}
        if settled { Ok(()) } else { Err(WrongEnd::NeverSettled(what.to_owned())) }
    }
}

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

/// The outcomes in an answer: `applied, skipped: newer_opt_out`.
fn outcomes(answer: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let outcome = |event: &serde_json::Value| {
        let outcome = event["outcome"].as_str().unwrap_or_default().to_owned();
        event["reason"].as_str().map_or(outcome.clone(), |reason| format!("{outcome}: {reason}"))
    };
    let outcomes: Vec<_> = answer["events"].as_array().into_iter().flatten().map(outcome).collect();
    outcomes.join(", ")
}
