//! Loads the configuration anew while the gateway runs, and exchanges what can be exchanged.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `reloader` | what a reload does, one after another |
//! | `trigger` | what it is done for: a SIGHUP, or a changed file |
//! | `watch` | whether files changed, and are still |
//! | `changes` | what changed, by name |
//! | `reloads` | how it went, for whoever shows it |
//!
//! A reload reads everything anew, from the same file and the same environment, and builds a gateway of it; only if nothing
//! stands in the way is it put in the running one's place. Requests end with the gateway that they began with. Imports
//! `forward` and the floors below; holds no secret, only digests of them.

mod changes;
mod reloader;
mod reloads;
mod trigger;
mod watch;

pub use changes::Changes;
pub use reloader::{ApplyLive, Reloader, Running};
pub use reloads::{Refused, ReloadState, Reloads};
pub use trigger::{Hangups, Trigger};
pub use watch::{Watched, look_at};
