//! Whether a callback is Campaign Monitor's: by a token at the end of its URL.
//!
//! No signature is documented, and the vendor's own receiver checks none. So the URL that is registered there
//! ends in a long random token, which is as good as a password as long as it stays out of logs.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Whether `stated` is one of the tokens. Compares digests, so that neither content nor length shows in the
/// time taken, and all of them, so that it doesn't show which one fits.
pub fn is_valid(stated: &SecretString, tokens: &[SecretString]) -> bool {
    let stated = Sha256::digest(stated.expose_secret());
    let fits =
        tokens.iter().fold(Choice::from(0), |fits, token| fits | Sha256::digest(token.expose_secret()).ct_eq(&stated));
    fits.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_tokens_fits_and_nothing_else() {
        let tokens = ["old-token".into(), "new-token".into()];
        for (stated, fits) in
            [("old-token", true), ("new-token", true), ("", false), ("old-toke", false), ("old-token2", false)]
        {
            assert_eq!(is_valid(&stated.into(), &tokens), fits, "{stated}");
        }
    }
}
