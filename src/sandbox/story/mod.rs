//! The story that `sandbox --script` plays: people act at Gigya and at every ESP, and after every act all of them
//! must stand as the person wants it.
//!
//! Here is the stage; what is played on it is in `scenes`.

mod journal;
mod scenes;
mod storm;

use super::esp::{Standing, Subscriber};
use super::{Attempt, Esps, Folder, NotStarted, Sandbox, Setup, SimulatedEsp, Temper, Witness};
use crate::journal::JournalFault;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;

/// The subscription that the story is about.
const NEWSLETTER: &str = "newsletter";
/// How long all sides may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// How all sides stand, which is as they should.
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
    /// There is no place for the journal.
    #[error("there is no room for temporary files: {0}")]
    NoRoom(#[from] std::io::Error),
    /// The journal can't be read.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Webhooks were still not answered 2xx when patience ended.
    #[error("{0}: webhooks are still not settled after {PATIENCE:?}")]
    NeverSettled(String),
    /// A side stands otherwise than it should.
    #[error("{0}")]
    Wrong(String),
}

/// Plays the story with these ESPs; `say` hears each line of it, and the witness sees what the gateway answers.
pub async fn play(cast: Esps, witness: impl Witness, mut say: impl FnMut(&Line)) -> Result<(), WrongEnd> {
    let started = Instant::now();
    let folder = Folder::make()?;
    let mut stage = Stage::set(cast, &folder, witness, &mut say).await?;
    scenes::all(&mut stage).await?;
    let seconds = started.elapsed().as_secs_f32();
    stage.say(Line::Title(format!(
        "All sides are equal after {} webhook requests in {seconds:.1} s. Nobody is mailed who said stop.",
        stage.heard
    )));
    stage.sandbox.stop().await;
    folder.remove();
    Ok(())
}

/// How every ESP should have somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// Is mailed.
    Mailed,
    /// Has opted out there.
    OptedOut,
    /// Isn't mailed, in whichever way the route removes people.
    Removed,
}

impl There {
    fn is(self, found: Option<&Subscriber>) -> bool {
        let standing = found.map(|found| found.standing);
        match self {
            Self::Mailed => standing == Some(Standing::Mailed),
            Self::OptedOut => standing == Some(Standing::OptedOut),
            Self::Removed => standing != Some(Standing::Mailed),
        }
    }
}

/// All systems and the gateway, and whoever listens.
struct Stage<'a> {
    sandbox: Sandbox,
    attempts: Receiver<Attempt>,
    /// How many webhook requests were answered.
    heard: usize,
    say: &'a mut dyn FnMut(&Line),
}

impl<'a> Stage<'a> {
    async fn set(
        cast: Esps,
        folder: &Folder,
        witness: impl Witness,
        say: &'a mut dyn FnMut(&Line),
    ) -> Result<Self, WrongEnd> {
        // Short, so that a failing side costs the story little time.
        let setup = Setup::with_esps(cast).with_lines("deadline = \"3s\"\nattempt_timeout = \"400ms\"");
        let setup = setup.with_journal(&folder.journal());
        let sandbox = Sandbox::start(setup, witness).await?;
        // A request is answered 2xx if all of it is done: small ones get through a storm sooner.
        sandbox.set_tempers(|temper| Temper { batch: 10, longest_interval: Duration::from_secs(1), ..temper });
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
        self.tell_all();
        if settled { Ok(()) } else { Err(WrongEnd::NeverSettled(what.to_owned())) }
    }

    /// The same while one ESP's callbacks are held back. Returns what was answered.
    async fn travels_but(&mut self, without: &dyn SimulatedEsp, what: &str) -> Result<Vec<Attempt>, WrongEnd> {
        let settled = self.sandbox.settled_but(Some(without), PATIENCE).await;
        let told = self.tell_all();
        if settled { Ok(told) } else { Err(WrongEnd::NeverSettled(what.to_owned())) }
    }

    /// The same, with answers counted only.
    async fn travels_unseen(&mut self, what: &str) -> Result<(), WrongEnd> {
        let settled = self.sandbox.settled(PATIENCE).await;
        while self.attempts.try_recv().is_ok() {
            self.heard += 1;
        }
        if settled { Ok(()) } else { Err(WrongEnd::NeverSettled(what.to_owned())) }
    }

    fn tell_all(&mut self) -> Vec<Attempt> {
        let all: Vec<_> = std::iter::from_fn(|| self.attempts.try_recv().ok()).collect();
        for attempt in &all {
            self.tell(attempt);
        }
        all
    }

    /// All sides must stand like this.
    fn stands(&mut self, name: &str, uid: &str, gigya: Option<bool>, there: There) -> Result<(), WrongEnd> {
        let found = self.sandbox.gigya.is_subscribed(uid, NEWSLETTER);
        let all_there = self.esps().iter().all(|esp| there.is(esp.find(&address(name)).as_ref()));
        let text = format!("{name}: Gigya {}, {}", flag(found), self.there(name));
        if found != gigya || !all_there {
            let text = format!("{text}; but should be {} in Gigya and {there:?} everywhere else", flag(gigya));
            return Err(WrongEnd::Wrong(text));
        }
        self.say(Line::Stands(text));
        Ok(())
    }

    /// How every ESP has somebody, in words.
    fn there(&self, name: &str) -> String {
        let state = |esp: &Arc<dyn SimulatedEsp>| {
            let found = esp.find(&address(name));
            format!("{} {}", esp.name(), found.map_or("doesn't know them", |found| found.state))
        };
        self.esps().iter().map(state).collect::<Vec<_>>().join(", ")
    }

    /// This must hold.
    fn holds(&mut self, holds: bool, text: &str) -> Result<(), WrongEnd> {
        if !holds {
            return Err(WrongEnd::Wrong(format!("this does not hold: {text}")));
        }
        self.say(Line::Stands(text.to_owned()));
        Ok(())
    }

    fn esps(&self) -> Vec<Arc<dyn SimulatedEsp>> {
        self.sandbox.esps.clone()
    }

    /// The ESPs' names, in a sentence.
    fn names(&self) -> String {
        let names: Vec<_> = self.sandbox.esps.iter().map(|esp| esp.name()).collect();
        names.join(" and ")
    }

    /// Some systems tell times by the second, and on a tie the opt-out wins.
    fn later(&self) {
        self.sandbox.clock.advance(jiff::SignedDuration::from_secs(2));
    }
}

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

const fn flag(opted_in: Option<bool>) -> &'static str {
    match opted_in {
        Some(true) => "opted in",
        Some(false) => "opted out",
        None => "never asked",
    }
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
