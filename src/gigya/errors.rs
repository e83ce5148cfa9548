//! Gigya's error codes, each sorted into what it means for a call.
//!
//! Source: SAP, "Response Codes and Errors"; what its SDKs and tools do on them. HTTP status is 200 even on
//! errors, so the code in the body decides.

/// What an error code means for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The call did what it should.
    Done,
    /// Gigya is failing; the same call may succeed later.
    Failing,
    /// Gigya is well, and refuses for now.
    Busy,
    /// The site's rate limit is reached.
    SlowDown,
    /// The request's time is too far from Gigya's: correct the clock and try once more.
    Clock,
    /// There is no such account, or none that may be used anymore.
    NoSuchAccount,
    /// Either there is no such account, or the user key is unknown; only a call that is known to work tells.
    NoSuchAccountOrKey,
    /// Credentials, permissions, data center or site: a person must act.
    Configuration,
    /// Refused, and always will be.
    Refused,
}

/// Sorts an `errorCode`.
#[must_use]
pub const fn meaning(code: i64) -> Meaning {
    match code {
        // 200008: ok with errors. 206001, 206002, 206003: registration or verification is pending, or a login
        // id is missing; none of it is a failure of the call.
        0 | 200_008 | 206_001 | 206_002 | 206_003 => Meaning::Done,
        // Data pending; concurrent updates of one account.
        100_001 | 409_030 => Meaning::Busy,
        403_048 => Meaning::SlowDown,
        403_002 => Meaning::Clock,
        // 403041: disabled. Which of the others an unknown UID gives is not confirmed.
        403_041 | 403_047 => Meaning::NoSuchAccount,
        403_005 => Meaning::NoSuchAccountOrKey,
        // Wrong data center; bad authentication header; invalid API key; feature or site not enabled.
        301_001 | 400_008 | 400_093 | 400_096 => Meaning::Configuration,
        // Login identifier exists: about the data.
        403_043 => Meaning::Refused,
        // Secret over http, permission denied, invalid secret, unauthorized partner, and what else is forbidden.
        403_000..=403_999 => Meaning::Configuration,
        500_000..=599_999 => Meaning::Failing,
        _ => Meaning::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_documented_code_is_sorted() {
        let table = [
            (0, Meaning::Done),
            (200_008, Meaning::Done),
            (206_001, Meaning::Done),
            (206_002, Meaning::Done),
            (206_003, Meaning::Done),
            (100_001, Meaning::Busy),
            (409_030, Meaning::Busy),
            (403_048, Meaning::SlowDown),
            (403_002, Meaning::Clock),
            (403_041, Meaning::NoSuchAccount),
            (403_047, Meaning::NoSuchAccount),
            (403_005, Meaning::NoSuchAccountOrKey),
            (301_001, Meaning::Configuration),
            (400_008, Meaning::Configuration),
            (400_093, Meaning::Configuration),
            (400_096, Meaning::Configuration),
            (403_000, Meaning::Configuration),
            (403_006, Meaning::Configuration),
            (403_007, Meaning::Configuration),
            (403_010, Meaning::Configuration),
            (403_036, Meaning::Configuration),
            (400_001, Meaning::Refused),
            (400_002, Meaning::Refused),
            (400_003, Meaning::Refused),
            (400_004, Meaning::Refused),
            (400_006, Meaning::Refused),
            (400_007, Meaning::Refused),
            (400_009, Meaning::Refused),
            (403_043, Meaning::Refused),
            (409_001, Meaning::Refused),
            (409_003, Meaning::Refused),
            (500_000, Meaning::Failing),
            (500_001, Meaning::Failing),
            (504_001, Meaning::Failing),
            (504_002, Meaning::Failing),
        ];
        for (code, expected) in table {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }
}
