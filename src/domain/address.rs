//! Email addresses, which never print themselves.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An email address.
///
/// Two addresses are the same when they differ only in the case of ASCII letters: neither Gigya nor the
/// ESPs keep two people apart by case. The spelling that was given is kept, and is what gets sent.
/// `Debug` hides the address and there is no `Display`: an address enters no log or message by accident.
#[derive(Clone)]
pub struct Email(Arc<str>);

/// Why a text was refused as an address. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an email address")]
pub struct NotAnAddress;

impl Email {
    /// The longest address accepted, in bytes (RFC 5321 allows 254; some systems keep 320).
    pub const MAX_BYTES: usize = 320;

    /// Takes a text that looks like an address: something, an `@`, something; no white space or control
    /// characters. Whether anybody lives there only a mail server knows. White space around it is dropped.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnAddress)?;
        let fits = !local.is_empty() && !domain.is_empty() && text.len() <= Self::MAX_BYTES;
        if !fits || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(NotAnAddress);
        }
        Ok(Self(text.into()))
    }

    /// The address as it was given, for sending it to a system that must have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The form in which equal addresses are equal texts, for hashing and look-ups.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        // Most are spelled alike, or are of another length.
        self.0 == other.0 || self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Email {}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_make_another_person() {
        assert_eq!(Email::parse("Ann@Example.org"), Email::parse("ann@example.ORG"));
    }

    #[test]
    fn the_given_spelling_is_kept() {
        assert_eq!(Email::parse(" Ann@Example.org ").unwrap().expose(), "Ann@Example.org");
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        for text in ["", "@", "ann", "ann@", "@example.org", "a b@example.org", "a@exa\nmple.org", &"a@".repeat(400)] {
            assert_eq!(Email::parse(text), Err(NotAnAddress), "{text:?}");
        }
    }

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", Email::parse("ann@example.org").unwrap()), "Email(hidden)");
    }
}
