//! Gigya's public keys, by key id.
//!
//! `accounts.getJWTPublicKey` gives them without credentials. They are kept for a day, and fetched again for an
//! unknown id, but at most once in ten seconds: a flood of forged ids costs one call, not one each. A key that is no
//! longer listed is believed for as long as a signature may be old: a redelivery may carry its first token.

use super::client::Client;
use crate::upstream::{Deadline, Fault};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a key is believed without asking again (as SAP's .NET SDK).
const BELIEVED_FOR: Duration = Duration::from_hours(24);
/// How long to wait between two fetches.
const BETWEEN_FETCHES: Duration = Duration::from_secs(10);

/// The public keys of one connection.
pub struct KeyStore {
    client: Arc<Client>,
    /// How long a key is believed after it was last listed.
    retired_for: Duration,
    known: Arc<RwLock<Known>>,
    /// Held while fetching, so that one fetch serves everybody who waits for it.
    fetching: Mutex<Option<Fetched>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Listed>,
    fetched: Option<Instant>,
}

struct Listed {
    key: Arc<DecodingKey>,
    last: Instant,
}

struct Fetched {
    at: Instant,
    failed: Option<Fault>,
}

#[derive(Deserialize)]
pub(super) struct WireKeys {
    #[serde(default)]
    keys: Vec<WireKey>,
    // Without `V2=true`, or at a site that doesn't know it, the one key's members stand at the top level.
    #[serde(flatten)]
    single: Option<WireKey>,
}

#[derive(Deserialize)]
struct WireKey {
    kid: String,
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    n: String,
    e: String,
}

impl KeyStore {
    /// An empty store; `client` fetches what is missing. `retired_for` is how old a signature may be.
    #[must_use]
    pub fn new(client: Arc<Client>, retired_for: Duration) -> Self {
        Self { client, retired_for, known: Arc::default(), fetching: Mutex::new(None) }
    }

    /// Shares the keys that another store of the same Gigya knows.
    pub fn learn_from(&mut self, other: &Self) {
        self.known = Arc::clone(&other.known);
    }

    /// The key with this id, fetched if need be; `None` if Gigya doesn't know it either.
    ///
    /// # Errors
    /// Gigya couldn't be asked.
    pub async fn key(&self, kid: &str, api_key: &str, deadline: Deadline) -> Result<Option<Arc<DecodingKey>>, Fault> {
        let (key, fresh) = self.cached(kid);
        if fresh && key.is_some() {
            return Ok(key);
        }
        let mut fetching = self.fetching.lock().await;
        // Somebody else may have fetched while we waited.
        let (key, fresh) = self.cached(kid);
        if fresh && key.is_some() {
            return Ok(key);
        }
        if let Some(last) = &*fetching
            && last.at.elapsed() < BETWEEN_FETCHES
        {
            return match last.failed {
                // An old key is better than none while Gigya can't be asked.
                Some(fault) if key.is_none() => Err(fault),
                _ => Ok(key),
            };
        }
        let started = Instant::now();
        // Marked before asking, so that a request cancelled meanwhile counts as a fetch, too.
        *fetching = Some(Fetched { at: started, failed: Some(Fault::Unavailable { cause: "keys_not_fetched" }) });
        let fetched = self.client.public_keys(api_key, deadline).await;
        *fetching = Some(Fetched { at: started, failed: fetched.as_ref().err().copied() });
        match fetched {
            Ok(keys) => {
                let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                known.keys.retain(|_, listed| listed.last.elapsed() < self.retired_for);
                let listed = keys.into_usable().map(|(kid, key)| (kid, Listed { key, last: started }));
                known.keys.extend(listed);
                known.fetched = Some(started);
                Ok(known.keys.get(kid).map(|listed| Arc::clone(&listed.key)))
            }
            Err(fault) if key.is_none() => Err(fault),
            Err(_) => Ok(key),
        }
    }

    fn cached(&self, kid: &str) -> (Option<Arc<DecodingKey>>, bool) {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = known.fetched.is_some_and(|at| at.elapsed() < BELIEVED_FOR);
        let believed = known.keys.get(kid).filter(|listed| listed.last.elapsed() < self.retired_for.max(BELIEVED_FOR));
        (believed.map(|listed| Arc::clone(&listed.key)), fresh)
    }
}

impl WireKeys {
    /// Whether there is any that can verify a signature.
    pub fn has_usable(self) -> bool {
        self.into_usable().next().is_some()
    }

    /// RSA keys for RS256 that parse; others are not for us.
    fn into_usable(self) -> impl Iterator<Item = (String, Arc<DecodingKey>)> {
        let usable = |key: &WireKey| key.kty == "RSA" && key.alg.as_deref().is_none_or(|alg| alg == "RS256");
        let keys = self.keys.into_iter().chain(self.single).filter(usable);
        keys.filter_map(|key| {
            let parsed = DecodingKey::from_rsa_components(&key.n, &key.e).ok()?;
            Some((key.kid, Arc::new(parsed)))
        })
    }
}

#[cfg(test)]
mod tests;
