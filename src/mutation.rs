//! Rules broken on purpose, one at a time, to see that the tests notice. Only the feature `mutations` has any of it, which
//! no build that is shipped has; without it, [`is`] is false for all of them and the compiler leaves them out.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutation {
    /// After an opt-in was written, the account is not read again.
    DropTheReread = 1,
    /// After an opt-out was written, it isn't either.
    DropTheRereadAfterOptOut,
    /// Any change of an account that is opted in subscribes again who opted out.
    ResubscribeOnUpdate,
    /// What arrives last wins, whenever it was said.
    TrustEventOrder,
    /// At one instant, or where it can't be told, the opt-in wins.
    OptInWinsTies,
    /// Answered 2xx whatever became of it.
    AnswerBeforeDone,
    /// A deactivated account's flags count.
    ForgetRemovals,
    /// What an account had under an address or a UID of before is left alone.
    LeaveStrays,
    /// Gigya isn't told of an ESP's opt-out that counts against its opt-in.
    KeepItFromGigya,
    /// An ESP isn't told of a Gigya opt-out that counts against its opt-in.
    KeepItFromTheEsp,
    /// An opt-in over an opt-out is tried again without looking.
    RepeatOptIns,
    /// An opt-in that is brought to Gigya isn't marked with when the person acted.
    ForgetTheTag,
    /// A pending double opt-in counts.
    ForgetTheConfirmation,
    /// Where somebody is, is written down once they are there.
    WriteLinksAfterwards,
    /// What was written down in the course of some work isn't looked at in its later rounds.
    ForgetOwnLinks,
    /// Answered as if the journal had what it couldn't write.
    AnswerBeforeTheCommit,
    /// What was left unfinished is taken off when somebody begins with it.
    ForgetTheUnfinished,
    /// Whom the journal has somewhere is taken to be opted in there.
    TrustTheJournal,
    /// What is read of an account counts also for news that came afterwards.
    ShareWhatBeganBefore,
}

/// All of them.
pub const ALL: [Mutation; 19] = [
    Mutation::DropTheReread,
    Mutation::DropTheRereadAfterOptOut,
    Mutation::ResubscribeOnUpdate,
    Mutation::TrustEventOrder,
    Mutation::OptInWinsTies,
    Mutation::AnswerBeforeDone,
    Mutation::ForgetRemovals,
    Mutation::LeaveStrays,
    Mutation::KeepItFromGigya,
    Mutation::KeepItFromTheEsp,
    Mutation::RepeatOptIns,
    Mutation::ForgetTheTag,
    Mutation::ForgetTheConfirmation,
    Mutation::WriteLinksAfterwards,
    Mutation::ForgetOwnLinks,
    Mutation::AnswerBeforeTheCommit,
    Mutation::ForgetTheUnfinished,
    Mutation::TrustTheJournal,
    Mutation::ShareWhatBeganBefore,
];

#[cfg(feature = "mutations")]
static BROKEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Breaks a rule from now on, in the whole process; none to break none.
#[cfg(feature = "mutations")]
pub fn choose(mutation: Option<Mutation>) {
    BROKEN.store(mutation.map_or(0, |mutation| mutation as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Whether this rule is broken.
#[cfg(feature = "mutations")]
#[must_use]
pub fn is(mutation: Mutation) -> bool {
    BROKEN.load(std::sync::atomic::Ordering::SeqCst) == mutation as u8
}

/// Whether this rule is broken: never.
#[cfg(not(feature = "mutations"))]
#[inline]
#[must_use]
pub const fn is(_: Mutation) -> bool {
    false
}
