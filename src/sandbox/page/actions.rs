//! What a person can do on the page.

use crate::sandbox::{Faults, Sandbox, SimulatedEsp, Weather};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The subscription that the page is about.
pub const NEWSLETTER: &str = "newsletter";
/// What the page calls Gigya; an ESP it calls by its slug.
pub const GIGYA: &str = "gigya";
/// The longest name taken.
const LONGEST_NAME: usize = 40;

/// One thing to do.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    SignUp { name: String },
    SignUpLite { name: String },
    Subscribe { uid: String },
    Unsubscribe { uid: String },
    Deactivate { uid: String },
    Activate { uid: String },
    Delete { uid: String },
    Rename { uid: String, name: String },
    FirstName { uid: String, name: String },
    FormSubscribe { esp: String, name: String },
    UnsubscribeLink { esp: String, email: String },
    Bounce { esp: String, email: String },
    DeleteAtEsp { esp: String, email: String },
    Weather { system: String, kind: Kind },
}

/// How a system is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Fine,
    /// Every answer takes almost a second.
    Slow,
    /// One call in twenty fails.
    Failing,
    /// One call in three fails.
    Stormy,
    Down,
}

impl Kind {
    fn weather(self) -> Weather {
        match self {
            Self::Fine => Weather::default(),
            Self::Slow => Weather { latency: Duration::from_millis(800), ..Weather::default() },
            Self::Failing => Weather::stormy(0.05),
            Self::Stormy => Weather::stormy(0.33),
            Self::Down => Weather { down: true, ..Weather::default() },
        }
    }

    /// What kind of weather it is; `None` if it wasn't made here.
    pub fn of(weather: Weather) -> Option<Self> {
        let all = [Self::Fine, Self::Slow, Self::Failing, Self::Stormy, Self::Down];
        all.into_iter().find(|kind| kind.weather() == weather)
    }
}

/// Does it. Says why not, where it can't be done.
pub fn perform(sandbox: &Sandbox, action: Action) -> Result<(), String> {
    let gigya = &sandbox.gigya;
    let known = |uid: &str| gigya.account(uid).map(drop).ok_or("There is no such account.".to_owned());
    let possible = |done: bool| done.then_some(()).ok_or("Nobody there whom this could happen to.".to_owned());
    match action {
        Action::SignUp { name } => {
            let address = new_address(sandbox, &name)?;
            gigya.sign_up(&address, name.trim());
        }
        Action::SignUpLite { name } => {
            let address = new_address(sandbox, &name)?;
            gigya.sign_up_lite(&address);
        }
        Action::Subscribe { uid } => {
            known(&uid)?;
            gigya.subscribe(&uid, NEWSLETTER);
        }
        Action::Unsubscribe { uid } => {
            known(&uid)?;
            gigya.unsubscribe(&uid, NEWSLETTER);
        }
        Action::Deactivate { uid } => {
            known(&uid)?;
            gigya.set_active(&uid, false);
        }
        Action::Activate { uid } => {
            known(&uid)?;
            gigya.set_active(&uid, true);
        }
        Action::Delete { uid } => {
            known(&uid)?;
            gigya.delete(&uid);
        }
        Action::Rename { uid, name } => {
            known(&uid)?;
            let address = new_address(sandbox, &name)?;
            gigya.change_email(&uid, &address);
        }
        Action::FirstName { uid, name } => {
            known(&uid)?;
            let name = checked(&name)?;
            gigya.set_profile(&uid, "firstName", name.into());
        }
        Action::FormSubscribe { esp, name } => {
            let address = address(&name)?;
            if !self::esp(sandbox, &esp)?.form_subscribe(&address) {
                return Err(format!("{address} is subscribed there already."));
            }
        }
        Action::UnsubscribeLink { esp, email } => possible(self::esp(sandbox, &esp)?.unsubscribe_link(&email))?,
        Action::Bounce { esp, email } => possible(self::esp(sandbox, &esp)?.bounce(&email))?,
        Action::DeleteAtEsp { esp, email } => possible(self::esp(sandbox, &esp)?.delete(&email))?,
        Action::Weather { system, kind } => faults(sandbox, &system)?.set(kind.weather()),
    }
    Ok(())
}

fn esp<'a>(sandbox: &'a Sandbox, slug: &str) -> Result<&'a dyn SimulatedEsp, String> {
    let found = sandbox.esps.iter().find(|esp| esp.slug() == slug);
    found.map(AsRef::as_ref).ok_or("There is no such system here.".to_owned())
}

fn faults<'a>(sandbox: &'a Sandbox, system: &str) -> Result<&'a Faults, String> {
    if system == GIGYA { Ok(sandbox.gigya.faults()) } else { esp(sandbox, system).map(SimulatedEsp::faults) }
}

fn checked(name: &str) -> Result<&str, String> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if fits { Ok(name) } else { Err(format!("A name has 1 to {LONGEST_NAME} characters.")) }
}

/// The address that goes with a name.
fn address(name: &str) -> Result<String, String> {
    let plain: String = checked(name)?.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    if plain.is_empty() { Err("Use letters and digits.".to_owned()) } else { Ok(format!("{plain}@example.org")) }
}

fn new_address(sandbox: &Sandbox, name: &str) -> Result<String, String> {
    let address = address(name)?;
    if sandbox.gigya.accounts().iter().any(|account| account.email == address) {
        return Err(format!("{address} has an account already; choose another name."));
    }
    Ok(address)
}
