//! What a reload is done for.

use std::fmt;
use std::io;

/// What a reload is done for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// SIGHUP.
    Signal,
    /// A file that is watched changed.
    Files,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signal => "SIGHUP",
            Self::Files => "changed files",
        })
    }
}

/// SIGHUPs. From when this is made to the process's end, none ends the process, whether anybody waits for it or not. Any
/// number of them that came while nobody waited is one. Where there is no such signal, none ever comes.
#[derive(Debug)]
pub struct Hangups(#[cfg(unix)] tokio::signal::unix::Signal);

impl Hangups {
    /// Begins to listen; in a runtime.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        return Ok(Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?));
        #[cfg(not(unix))]
        return Ok(Self());
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
