//! The journal's keys: one to look people up by, one to encrypt with. Both are made with the journal and kept in it,
//! wrapped by a key from the configuration. So another configured key needs a new wrapping only, and what was written
//! stays to be found.

use super::entries::{EventKey, Person};
use super::fault::JournalFault;
use crate::domain::{ConnectionName, Email, Uid};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// Bytes of a nonce, which stands before what is encrypted.
const NONCE: usize = 12;

/// A keyed hash of an address, or of an account.
pub type Hash = [u8; 32];

/// Keys in use.
pub struct Keys {
    lookup: SecretSlice<u8>,
    data: Sealer,
}

/// Encrypts and decrypts with one key: AES-256-GCM-SIV, which does no harm should a nonce ever come twice.
pub struct Sealer(RandomizedNonceKey);

/// What a sealed text is, so that none can be put in another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// One of the journal's keys.
    Key,
    /// A link.
    Link,
    /// An event set aside.
    Rejected,
    /// An unfinished event.
    Pending,
}

impl Sealed {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Key => b"key",
            Self::Link => b"link",
            Self::Rejected => b"rejected",
            Self::Pending => b"pending",
        }
    }
}

impl Sealer {
    /// With 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, JournalFault> {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, key).map(Self).map_err(|_| JournalFault::unreadable())
    }

    /// With a key from the configuration, of any length.
    pub fn configured(key: &SecretString) -> Result<Self, JournalFault> {
        Self::new(&hmac(key.expose_secret().as_bytes(), &[b"gigya-esp-gateway journal"]))
    }

    /// Encrypts.
    pub fn seal(&self, what: Sealed, plain: &[u8]) -> Vec<u8> {
        let mut text = plain.to_vec();
        let aad = Aad::from(what.label());
        let nonce = self.0.seal_in_place_append_tag(aad, &mut text).expect("what fits in memory can be encrypted");
        [&nonce.as_ref()[..], &text].concat()
    }

    /// Decrypts.
    pub fn open(&self, what: Sealed, sealed: &[u8]) -> Result<Vec<u8>, JournalFault> {
        let (nonce, text) = sealed.split_at_checked(NONCE).ok_or(JournalFault::unreadable())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| JournalFault::unreadable())?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(what.label()), &mut text);
        let length = opened.map_err(|_| JournalFault::unreadable())?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl Keys {
    /// With both keys, 32 bytes each.
    pub fn new(lookup: Vec<u8>, data: &[u8]) -> Result<Self, JournalFault> {
        Ok(Self { lookup: lookup.into(), data: Sealer::new(data)? })
    }

    /// An address; its case doesn't matter.
    pub fn address(&self, address: &Email) -> Hash {
        self.hash(&[b"address", address.folded().as_bytes()])
    }

    /// An account.
    pub fn account(&self, gigya: &ConnectionName, uid: &Uid) -> Hash {
        self.hash(&[b"account", gigya.as_str().as_bytes(), uid.expose().as_bytes()])
    }

    /// The hashes of somebody's account and address.
    pub fn person(&self, person: &Person) -> (Option<Hash>, Option<Hash>) {
        let account = person.account.as_ref().map(|(gigya, uid)| self.account(gigya, uid));
        (account, person.address.as_ref().map(|address| self.address(address)))
    }

    /// An event on a route; zero for one that can't be told from others.
    pub fn event(&self, key: &EventKey) -> i64 {
        if key.event.is_empty() {
            return 0;
        }
        let parts = [key.connection.as_bytes(), key.event.as_bytes(), key.route.as_bytes()];
        let hash = self.hash(&[&b"event"[..], parts[0], parts[1], parts[2]]);
        i64::from_be_bytes(hash[..8].try_into().expect("a hash is longer"))
    }

    /// What events are kept in order by while they wait: one person's, from one connection. Another connection's wouldn't be
    /// in any order anyway, and must not wait for a system that they have nothing to do with.
    pub fn queue(&self, connection: &str, person: &Person, otherwise: &[u8]) -> Hash {
        let (account, address) = self.person(person);
        self.queue_of(connection, address.or(account).as_ref().map(|who| &who[..]), otherwise)
    }

    /// The same, of somebody whose hash is known.
    pub fn queue_of(&self, connection: &str, who: Option<&[u8]>, otherwise: &[u8]) -> Hash {
        let nobody = self.hash(&[b"nobody", otherwise]);
        self.hash(&[b"queue", connection.as_bytes(), who.unwrap_or(&nobody)])
    }

    /// Encrypts.
    pub fn seal(&self, what: Sealed, plain: &[u8]) -> Vec<u8> {
        self.data.seal(what, plain)
    }

    /// Decrypts.
    pub fn open(&self, what: Sealed, sealed: &[u8]) -> Result<Vec<u8>, JournalFault> {
        self.data.open(what, sealed)
    }

    fn hash(&self, parts: &[&[u8]]) -> Hash {
        hmac(self.lookup.expose_secret(), parts)
    }
}

/// Each part with its length before it, so that no two lists of parts are alike.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A new key.
pub fn random() -> Vec<u8> {
    let mut key = vec![0; 32];
    aws_lc_rs::rand::fill(&mut key).expect("the system has randomness");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(vec![1; 32], &[2; 32]).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_as_what_it_is_and_as_nothing_else() {
        let keys = keys();
        let sealed = keys.seal(Sealed::Link, b"ann@example.org");
        assert_eq!(keys.open(Sealed::Link, &sealed).unwrap(), b"ann@example.org");
        assert!(keys.open(Sealed::Pending, &sealed).is_err());
        assert_ne!(sealed, keys.seal(Sealed::Link, b"ann@example.org"), "equal texts don't look equal");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(Sealed::Link, &changed).is_err(), "byte {at}");
        }
        assert!(keys.open(Sealed::Link, b"short").is_err());
    }

    #[test]
    fn an_address_is_one_whatever_its_case_and_no_account() {
        let keys = keys();
        let address = |text| keys.address(&Email::parse(text).unwrap());
        assert_eq!(address("Ann@example.org"), address("ann@EXAMPLE.org"));
        let account = |gigya, uid| keys.account(&ConnectionName::new(gigya), &Uid::new(uid).unwrap());
        assert_ne!(account("main", "ann@example.org"), address("ann@example.org"));
        assert_ne!(account("main", "a"), account("other", "a"));
        assert_ne!(account("ma", "ina"), account("main", "a"));
    }

    #[test]
    fn an_event_without_an_id_is_like_no_other() {
        let key = |event: &str| EventKey { connection: "main".into(), event: event.into(), route: "r".into() };
        assert_eq!(keys().event(&key("")), 0);
        assert_ne!(keys().event(&key("a")), keys().event(&key("b")));
    }
}
