//! The keys of the configuration and of the database, in memory.
//!
//! A look-up reads a map only. The map is replaced when the version of the keys in the database changes:
//! [`Keyring::watch`] polls it, so that a revoked key stops working within a second, and a caller that does not find a
//! key calls [`Keyring::refresh`], so that a key made by another process works at its first use.

mod first_key;
mod key_file;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{KeyConfig, Limits, RateLimits};
use crate::store::{Store, StoreError, StoredKey};
use crate::wire::api_key::{KeyHash, Scope, Scopes};

pub use first_key::FirstKeyError;

/// Shortest time between two reads of the database, however many keys are not found.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two reads of the database by [`Keyring::watch`].
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A version that the database never has.
const UNKNOWN_VERSION: i64 = i64::MIN;

/// The beginning of the ids of configured keys.
const CONFIGURED: &str = "config:";

/// The owner of a key, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Stable identity: the id of a key in the database, `config:NAME` of one in the configuration.
    pub id: Arc<str>,
    /// The name in logs.
    pub name: Arc<str>,
    /// When the key expires; none: never.
    pub expires_at: Option<Timestamp>,
    /// The models that it may use; none: all.
    pub models: Option<Vec<String>>,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its limits; those of `limits.per_key` if it has none of its own.
    pub limits: RateLimits,
}

impl Principal {
    /// Whether it may use `model`, the name in the request.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model))
    }

    /// Whether it has `scope`.
    #[must_use]
    pub const fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether its key has expired. Reads the clock only for keys that expire at all.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.expires_at.is_some() && self.is_expired(Timestamp::now())
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// All keys under one configuration; cheap to clone. After a reload there is another one for new requests, which reads
/// the same database.
#[derive(Clone, Debug)]
pub struct Keyring {
    shared: Arc<Shared>,
    /// The keys of the configuration in force.
    current: Arc<ArcSwap<Shared>>,
}

/// The keys of the configuration in force, for streams that last for days: they keep no keys of an earlier one.
#[derive(Clone, Debug)]
pub struct CurrentKeys(Arc<ArcSwap<Shared>>);

impl CurrentKeys {
    /// As [`Keyring::find`].
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        self.0.load().find(hash)
    }
}

#[derive(Debug)]
struct Shared {
    store: Store,
    // std Mutex: never held across .await, and taken after `keys`.
    configured: StdMutex<Configured>,
    per_key: RateLimits,
    /// How long keys of a database that servers share are used after its last read.
    cache: Duration,
    // std RwLock: held to clone or replace the Arc, never across .await.
    keys: RwLock<Arc<Keys>>,
    last_read: Mutex<LastRead>,
    freshness: Freshness,
}

type Keys = HashMap<KeyHash, Arc<Principal>>;
type Configured = Vec<(KeyHash, Arc<Principal>)>;

/// The last read of the database.
#[derive(Debug)]
struct LastRead {
    /// When it began: it has every change that was made before.
    at: Instant,
    /// When the last read that did not fail began.
    succeeded_at: Instant,
    version: i64,
}

/// How current the keys of the database are, for look-ups that must not wait.
#[derive(Debug)]
struct Freshness {
    /// The last read has failed.
    failing: AtomicBool,
    /// All reads have failed for as long as keys may be used without one.
    outdated: AtomicBool,
}

impl Shared {
    async fn open(
        store: Store,
        configured: &[KeyConfig],
        limits: &Limits,
        cache: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let at = Instant::now();
        let (version, stored) = store.active_keys().await?;
        let per_key = limits.per_key;
        let configured: Configured = configured.iter().flat_map(|key| from_config(key, per_key)).collect();
        let keys = RwLock::new(Arc::new(collect(&stored, &configured, per_key)));
        let last_read = Mutex::new(LastRead { at, succeeded_at: at, version });
        let configured = StdMutex::new(configured);
        let freshness = Freshness { failing: AtomicBool::new(false), outdated: AtomicBool::new(false) };
        Ok(Arc::new(Self { store, configured, per_key, cache, keys, last_read, freshness }))
    }

    fn find(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(hash).map(Arc::clone)
    }

    fn configured(&self) -> MutexGuard<'_, Configured> {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyring {
    /// Reads the keys of `store` and adds `configured`; a secret that is in both is the configuration's. While a database
    /// that servers share can't be read, its keys are used for the time `cache`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open(
        store: Store,
        configured: &[KeyConfig],
        limits: &Limits,
        cache: Duration,
    ) -> Result<Self, StoreError> {
        let shared = Shared::open(store, configured, limits, cache).await?;
        Ok(Self { current: Arc::new(ArcSwap::new(Arc::clone(&shared))), shared })
    }

    /// The keys of another configuration, which is not in force yet.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn following(
        &self,
        configured: &[KeyConfig],
        limits: &Limits,
        cache: Duration,
    ) -> Result<Self, StoreError> {
        let shared = Shared::open(self.shared.store.clone(), configured, limits, cache).await?;
        Ok(Self { shared, current: Arc::clone(&self.current) })
    }

    /// Puts these keys in force: from now on [`Keyring::watch`] keeps them up to date, and those of before no longer.
    pub fn make_current(&self) {
        self.current.store(Arc::clone(&self.shared));
    }

    /// The keys of the configuration in force, now and later.
    #[must_use]
    pub fn current(&self) -> CurrentKeys {
        CurrentKeys(Arc::clone(&self.current))
    }

    /// The principal whose key has this hash, in constant time. Finds expired keys, but no revoked ones.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        self.shared.find(hash)
    }

    /// Reads the keys again if they have changed. Afterwards every change that was made before the call is effective,
    /// unless the database fails: then the old keys stay, and an error is logged.
    ///
    /// Concurrent callers share one read, and there is at most one in 200 ms, so a call may wait that long.
    pub async fn refresh(&self) {
        if self.is_unread() {
            // `watch` tries again, so that requests do not wait for a server that does not answer.
            return;
        }
        self.read().await;
    }

    async fn read(&self) {
        let called = Instant::now();
        let mut last_read = self.shared.last_read.lock().await;
        if last_read.at > called {
            return;
        }
        tokio::time::sleep_until(last_read.at + MIN_REFRESH_INTERVAL).await;
        let began = Instant::now();
        let renewed = self.renew(last_read.version).await;
        // Not earlier: if this future is dropped while it reads, the callers that wait must read themselves.
        last_read.at = began;
        let Freshness { failing, outdated } = &self.shared.freshness;
        match &renewed {
            Ok(version) => (last_read.version, last_read.succeeded_at) = (*version, began),
            // Logged once, not for every key that is not found.
            Err(error) if !failing.load(Ordering::Relaxed) => {
                tracing::error!(%error, "API keys can't be read; the last ones known stay in force");
            }
            Err(_) => {}
        }
        failing.store(renewed.is_err(), Ordering::Relaxed);
        let is_outdated = self.shared.store.is_shared() && last_read.succeeded_at.elapsed() >= self.shared.cache;
        outdated.store(renewed.is_err() && is_outdated, Ordering::Relaxed);
    }

    /// Whether a database that servers share can't be read, so that a key that is not found may be valid.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.shared.store.is_shared() && self.shared.freshness.failing.load(Ordering::Relaxed)
    }

    /// Whether `principal` has a key of a database that could not be read for so long that the key may be revoked
    /// meanwhile.
    #[must_use]
    pub fn is_outdated(&self, principal: &Principal) -> bool {
        self.shared.freshness.outdated.load(Ordering::Relaxed) && !principal.id.starts_with(CONFIGURED)
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

    /// Replaces the secret of the configured key `name`. Returns whether it was another one before.
    ///
    /// # Errors
    /// The name of another configured key that has this secret: nothing changes then.
    pub async fn replace(&self, name: &str, hash: KeyHash) -> Result<bool, Arc<str>> {
        // First, so that no read of the database is under way, which would restore the old secret.
        let mut last_read = self.shared.last_read.lock().await;
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
        last_read.version = UNKNOWN_VERSION;
        Ok(true)
    }

    /// Reads changes of the keys until `stop`: a key that another process revokes is refused within a second.
    pub async fn watch(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL)).await.is_some() {
            let shared = self.current.load_full();
            Self { shared, current: Arc::clone(&self.current) }.read().await;
        }
    }
}

fn collect(stored: &[StoredKey], configured: &[(KeyHash, Arc<Principal>)], per_key: RateLimits) -> Keys {
    let stored = stored.iter().map(|key| (key.key.hash, Arc::new(from_store(key, per_key))));
    // Configured keys replace stored ones with the same secret.
    stored.chain(configured.iter().cloned()).collect()
}

/// The entries of a configured key: by its secret, and by its certificate.
fn from_config(key: &KeyConfig, per_key: RateLimits) -> impl Iterator<Item = (KeyHash, Arc<Principal>)> {
    let principal = Arc::new(Principal {
        id: format!("{CONFIGURED}{}", key.name).into(),
        name: key.name.as_str().into(),
        expires_at: key.expires_at,
        models: key.models.clone(),
        scopes: key.scopes,
        limits: key.limits.or(per_key),
    });
    std::iter::once(key.hash).chain(key.certificate).map(move |hash| (hash, Arc::clone(&principal)))
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

#[cfg(test)]
mod tests;
