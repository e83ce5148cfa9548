//! How a command ends, as whoever started it can tell.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is well.
    Well,
    /// Something failed, or isn't as it should be.
    Failed,
    /// The configuration or the command line is refused; nothing was done.
    Refused,
    /// Something is left to be done.
    LeftToDo,
}

impl Ended {
    /// Every way there is.
    pub const ALL: [Self; 4] = [Self::Well, Self::Failed, Self::Refused, Self::LeftToDo];

    /// The process's exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::LeftToDo => 3,
        }
    }

    /// What it means, for the reference page.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Well => "all is well; for `serve`, it was asked to stop and did",
            Self::Failed => {
                "something failed, or a check found something wrong; what and what to do is on standard error or in the table"
            }
            Self::Refused => "the configuration or the command line is refused, all problems at once; nothing was done",
            Self::LeftToDo => {
                "something is left to be done: `register` or `reconcile` without `--apply` found it; `reconcile --apply` was stopped \
                 or couldn't do all of it; `journal forget` wasn't confirmed, or has to \
                 come again; an event that `journal rejected retry` put among the unfinished ones is there still"
            }
        }
    }
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(ended.status())
    }
}
