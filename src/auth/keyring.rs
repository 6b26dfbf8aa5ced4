//! Who may: the keys of the configuration and of the database, ready to be looked up.
//!
//! A look-up touches a map in memory only. The map is renewed when the database's version of its keys moves:
//! [`Keyring::watch`] polls it, so that a revoked key stops within a second, and whoever misses a key calls
//! [`Keyring::refresh`], so that a key made by another process works on its first use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{KeyConfig, Limits, RateLimits};
use crate::store::{NewKey, Store, StoreError, StoredKey};
use crate::wire::api_key::{KeyHash, Scope, Scopes, new_secret};

/// Name of the key that is made when there is none.
const FIRST: &str = "first";
/// Shortest time between two looks at the database, however many keys are missed.
const PAUSE: Duration = Duration::from_millis(200);
/// Time between two looks when nobody asks.
const POLL: Duration = Duration::from_millis(500);

/// A version that the database never has.
const UNKNOWN: i64 = i64::MIN;

/// Somebody with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Stable identity: the id of a key in the database, `config:NAME` of one in the configuration.
    pub id: Arc<str>,
    /// Name, for logs.
    pub name: Arc<str>,
    /// From when on the key is refused; none: never.
    pub expires_at: Option<Timestamp>,
    /// Which models it may use; none: all.
    pub models: Option<Vec<String>>,
    /// What it may do.
    pub scopes: Scopes,
    /// Its limits; `limits.per_key` where it has none of its own.
    pub limits: RateLimits,
}

impl Principal {
    /// Whether it may use `model`, the name that the client asked for.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model))
    }

    /// Whether it may do what `scope` stands for.
    #[must_use]
    pub const fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether its key has expired. Most never do, and need no look at the clock.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.expires_at.is_some() && self.is_expired(Timestamp::now())
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// All keys; cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    // std Mutex: never held across .await, and taken after `keys`.
    configured: StdMutex<Configured>,
    per_key: RateLimits,
    // std RwLock: held to clone or replace the Arc, never across .await.
    keys: RwLock<Arc<Keys>>,
    looked: Mutex<Looked>,
}

type Keys = HashMap<KeyHash, Arc<Principal>>;
type Configured = Vec<(KeyHash, Arc<Principal>)>;

/// The last look at the database.
#[derive(Debug)]
struct Looked {
    /// When it began: it saw every change made before.
    at: Instant,
    version: i64,
    failing: bool,
}

/// Why the first key could not be made.
#[derive(Debug)]
pub enum FirstKeyError {
    /// The operating system has no random bytes to give.
    Random(getrandom::Error),
    /// The database could not be used.
    Store(StoreError),
}

impl Shared {
    fn configured(&self) -> MutexGuard<'_, Configured> {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyring {
    /// Reads the keys of `store` and adds `configured`; a secret that is in both is the configuration's.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn open(store: Store, configured: &[KeyConfig], limits: &Limits) -> Result<Self, StoreError> {
        let at = Instant::now();
        let (version, stored) = store.active_keys().await?;
        let per_key = limits.per_key;
        let configured: Vec<_> = configured.iter().map(|key| (key.hash, Arc::new(from_config(key, per_key)))).collect();
        let keys = RwLock::new(Arc::new(collect(&stored, &configured, per_key)));
        let looked = Mutex::new(Looked { at, version, failing: false });
        let configured = StdMutex::new(configured);
        Ok(Self { shared: Arc::new(Shared { store, configured, per_key, keys, looked }) })
    }

    /// Whose key has this hash: one look-up, however many keys there are. Expired keys are found, revoked ones not.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(hash).map(Arc::clone)
    }

    /// Reads the keys again if they changed. Afterwards every change that was made before the call is seen,
    /// unless the database fails: then the old keys stay, and the log says so.
    ///
    /// Callers at the same time share one look, and there is at most one in 200 ms: they may wait that long.
    pub async fn refresh(&self) {
        let called = Instant::now();
        let mut looked = self.shared.looked.lock().await;
        if looked.at > called {
            return;
        }
        tokio::time::sleep_until(looked.at + PAUSE).await;
        let began = Instant::now();
        let renewed = self.renew(looked.version).await;
        // Only now: if this future is dropped while it looks, those who wait must look themselves.
        looked.at = began;
        match &renewed {
            Ok(version) => looked.version = *version,
            // Once, and not for every miss.
            Err(error) if !looked.failing => {
                tracing::error!(%error, "API keys can't be read; the last ones known stay in force");
            }
            Err(_) => {}
        }
        looked.failing = renewed.is_err();
    }

    async fn renew(&self, known: i64) -> Result<i64, StoreError> {
        let shared = &self.shared;
        if shared.store.keys_version().await? == known {
            return Ok(known);
        }
        let (version, stored) = shared.store.active_keys().await?;
        let mut keys = shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = Arc::new(collect(&stored, &shared.configured(), shared.per_key));
        tracing::debug!(keys = keys.len(), version, "API keys read again");
        Ok(version)
    }

    /// Gives the configured key `name` another secret, from now on the only one that is good. Whether it was another one.
    ///
    /// # Errors
    /// The name of another configured key that has this secret: nothing changes then.
    pub async fn replace(&self, name: &str, hash: KeyHash) -> Result<bool, Arc<str>> {
        // First: no look at the database may be under way, which would bring back what is known now.
        let mut looked = self.shared.looked.lock().await;
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut configured = self.shared.configured();
        if let Some((_, other)) = configured.iter().find(|(known, _)| *known == hash) {
            return if *other.name == *name { Ok(false) } else { Err(Arc::clone(&other.name)) };
        }
        let Some((known, principal)) = configured.iter_mut().find(|(_, principal)| *principal.name == *name) else {
            return Ok(false);
        };
        let before = std::mem::replace(known, hash);
        let keys = Arc::make_mut(&mut keys);
        keys.remove(&before);
        keys.insert(hash, Arc::clone(principal));
        // A key of the database may have had that secret too.
        looked.version = UNKNOWN;
        Ok(true)
    }

    /// Keeps the keys fresh until `stop`: a key that another process revokes is refused within a second.
    pub async fn watch(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_some() {
            self.refresh().await;
        }
    }

    /// Where neither the configuration nor the database ever had a key, makes one, named `first`, with all scopes,
    /// and gives its secret, which is stored nowhere.
    ///
    /// # Errors
    /// [`FirstKeyError`]
    pub async fn ensure_first(&self) -> Result<Option<String>, FirstKeyError> {
        if !self.shared.configured().is_empty() {
            return Ok(None);
        }
        let secret = new_secret().map_err(FirstKeyError::Random)?;
        let key = NewKey { scopes: Scopes::ALL, ..NewKey::new(FIRST.to_owned(), &secret) };
        let Some(stored) = self.shared.store.create_first_key(key).await.map_err(FirstKeyError::Store)? else {
            return Ok(None);
        };
        let hash = stored.key.hash;
        let principal = Arc::new(from_store(&stored, self.shared.per_key));
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut keys).insert(hash, principal);
        Ok(Some(secret))
    }
}

fn collect(stored: &[StoredKey], configured: &[(KeyHash, Arc<Principal>)], per_key: RateLimits) -> Keys {
    let stored = stored.iter().map(|key| (key.key.hash, Arc::new(from_store(key, per_key))));
    // Later ones win.
    stored.chain(configured.iter().cloned()).collect()
}

fn from_config(key: &KeyConfig, per_key: RateLimits) -> Principal {
    Principal {
        id: format!("config:{}", key.name).into(),
        name: key.name.as_str().into(),
        expires_at: key.expires_at,
        models: key.models.clone(),
        scopes: key.scopes,
        limits: key.limits.or(per_key),
    }
}

fn from_store(stored: &StoredKey, per_key: RateLimits) -> Principal {
    let key = &stored.key;
    Principal {
        id: stored.id.to_string().into(),
        name: key.name.as_str().into(),
        expires_at: key.expires_at,
        models: key.models.clone(),
        scopes: key.scopes,
        limits: key.limits.or(per_key),
    }
}

impl std::fmt::Display for FirstKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random(error) => write!(f, "no random bytes for a first API key: {error}"),
            Self::Store(error) => write!(f, "the first API key can't be stored: {error}"),
        }
    }
}

impl std::error::Error for FirstKeyError {}

#[cfg(test)]
mod tests;
