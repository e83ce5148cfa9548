//! The story that `sandbox --script` plays: people act on both sides, and after every act both sides must stand
//! as the person wants it.
//!
//! Here is the stage; what is played on it is in `scenes`.

mod scenes;

use super::campaign_monitor::State;
use super::{Attempt, NotStarted, Sandbox, Setup, Temper};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;

/// The subscription that the story is about.
const NEWSLETTER: &str = "newsletter";
/// How long both sides may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// A line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// What the story, or one part of it, is about.
    Title(String),
    /// Somebody acts.
    Act(String),
    /// A webhook was sent, and answered.
    Webhook {
        /// Who sent it, of which events, at which attempt.
        sent: String,
        /// The status; 0 if there was no answer.
        status: u16,
        /// The outcomes, with reasons.
        outcomes: String,
    },
    /// How both sides stand, which is as they should.
    Stands(String),
    /// Something worth knowing.
    Note(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Title(text) => write!(f, "\n{text}"),
            Self::Act(text) => write!(f, "\n* {text}"),
            Self::Webhook { sent, status: 0, .. } => write!(f, "    {sent} -> no answer"),
            Self::Webhook { sent, status, outcomes } => write!(f, "    {sent} -> {status} {outcomes}"),
            Self::Stands(text) => write!(f, "    ok: {text}"),
            Self::Note(text) => write!(f, "    {text}"),
        }
    }
}

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
pub async fn play(mut say: impl FnMut(&Line)) -> Result<(), WrongEnd> {
    let started = Instant::now();
    let mut stage = Stage::set(&mut say).await?;
    scenes::all(&mut stage).await?;
    let seconds = started.elapsed().as_secs_f32();
    stage.say(Line::Title(format!(
        "Both sides are equal after {} webhook requests in {seconds:.1} s. Nobody is mailed who said stop.",
        stage.heard
    )));
    stage.sandbox.stop().await;
    Ok(())
}

/// Both systems and the gateway, and whoever listens.
struct Stage<'a> {
    sandbox: Sandbox,
    attempts: Receiver<Attempt>,
    /// How many webhook requests were answered.
    heard: usize,
    say: &'a mut dyn FnMut(&Line),
}

impl<'a> Stage<'a> {
    async fn set(say: &'a mut dyn FnMut(&Line)) -> Result<Self, WrongEnd> {
        let setup = Setup {
            // Short, so that a failing side costs the story little time.
            gigya_lines: "deadline = \"3s\"\nattempt_timeout = \"400ms\"".to_owned(),
            campaign_monitor_lines: "deadline = \"3s\"\nattempt_timeout = \"400ms\"".to_owned(),
            ..Setup::default()
        };
        let sandbox = Sandbox::start(setup).await?;
        let temper = Temper { longest_interval: Duration::from_secs(1), ..Temper::default() };
        sandbox.gigya.courier().set_temper(temper);
        sandbox.campaign_monitor.courier().set_temper(temper);
        let attempts = sandbox.attempts.subscribe();
        Ok(Self { sandbox, attempts, heard: 0, say })
    }

    fn say(&mut self, line: Line) {
        (self.say)(&line);
    }

    fn act(&mut self, text: &str) {
        self.say(Line::Act(text.to_owned()));
    }

    fn note(&mut self, text: &str) {
        self.say(Line::Note(text.to_owned()));
    }

    /// The next webhook request to be answered.
    async fn next(&mut self) -> Result<Attempt, WrongEnd> {
        let next = tokio::time::timeout(PATIENCE, self.attempts.recv()).await;
        let attempt = next
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| WrongEnd::NeverSettled("a webhook was expected".to_owned()))?;
        self.tell(&attempt);
        Ok(attempt)
    }

    fn tell(&mut self, attempt: &Attempt) {
        self.heard += 1;
        let again = if attempt.number > 1 { format!(" (attempt {})", attempt.number) } else { String::new() };
        let sent = format!("{} sent {}{again}", attempt.sender, counted(attempt.types.iter().cloned()));
        self.say(Line::Webhook { sent, status: attempt.status, outcomes: outcomes(&attempt.answer) });
    }

    /// Webhooks travel until every one of them, echoes too, is answered 2xx; what was answered is told.
    async fn travels(&mut self, what: &str) -> Result<(), WrongEnd> {
        let settled = self.sandbox.settled(PATIENCE).await;
        while let Ok(attempt) = self.attempts.try_recv() {
            self.tell(&attempt);
        }
        if settled { Ok(()) } else { Err(WrongEnd::NeverSettled(what.to_owned())) }
    }

    /// The same, with answers counted only.
    async fn travels_unseen(&mut self, what: &str) -> Result<(), WrongEnd> {
        let settled = self.sandbox.settled(PATIENCE).await;
        while self.attempts.try_recv().is_ok() {
            self.heard += 1;
        }
        if settled { Ok(()) } else { Err(WrongEnd::NeverSettled(what.to_owned())) }
    }

    /// Both sides must stand like this.
    fn stands(&mut self, name: &str, uid: &str, gigya: Option<bool>, esp: Option<State>) -> Result<(), WrongEnd> {
        let found = (self.sandbox.gigya.is_subscribed(uid, NEWSLETTER), self.esp(name));
        if found != (gigya, esp) {
            let text =
                format!("{name} should stand as [{}], and stands as [{}]", sides(gigya, esp), sides(found.0, found.1));
            return Err(WrongEnd::Wrong(text));
        }
        self.say(Line::Stands(format!("{name}: {}", sides(gigya, esp))));
        Ok(())
    }

    /// This must hold.
    fn holds(&mut self, holds: bool, text: &str) -> Result<(), WrongEnd> {
        if !holds {
            return Err(WrongEnd::Wrong(format!("this does not hold: {text}")));
        }
        self.say(Line::Stands(text.to_owned()));
        Ok(())
    }

    fn esp(&self, name: &str) -> Option<State> {
        self.sandbox.campaign_monitor.state(&self.sandbox.list, &address(name))
    }

    /// Times at Campaign Monitor are told by the second, and on a tie the opt-out wins.
    fn later(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }
}

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

fn sides(gigya: Option<bool>, esp: Option<State>) -> String {
    let gigya = match gigya {
        Some(true) => "opted in",
        Some(false) => "opted out",
        None => "no such subscription",
    };
    format!("Gigya {gigya}, Campaign Monitor {}", esp.map_or("doesn't know them", State::name))
}

/// `applied, 2 x skipped: newer_opt_out`
fn outcomes(answer: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    counted(answer["events"].as_array().into_iter().flatten().map(|event| {
        let outcome = event["outcome"].as_str().unwrap_or_default();
        event["reason"].as_str().map_or_else(|| outcome.to_owned(), |reason| format!("{outcome}: {reason}"))
    }))
}

/// Each once, in the order of the first of them, with how often it comes.
fn counted(texts: impl Iterator<Item = String>) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for text in texts {
        match counts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text, 1)),
        }
    }
    let told = counts.into_iter().map(|(text, count)| if count > 1 { format!("{count} x {text}") } else { text });
    told.collect::<Vec<_>>().join(", ")
}
