//! The first key: created at a start without any key, and shown once.

use std::sync::{Arc, PoisonError};

use super::{Keyring, from_store};
use crate::store::{NewKey, StoreError};
use crate::wire::api_key::{Scopes, new_secret};

/// Name of the first key.
const FIRST_KEY_NAME: &str = "first";

/// Why the first key could not be created.
#[derive(Debug)]
pub enum FirstKeyError {
    /// The operating system has no random bytes.
    Random(getrandom::Error),
    /// The database could not be used.
    Store(StoreError),
}

impl Keyring {
    /// Creates a key named `first` with all scopes, if neither the configuration nor the database ever had one. Returns its
    /// secret, which is not stored.
    ///
    /// # Errors
    /// [`FirstKeyError`]
    pub async fn ensure_first(&self) -> Result<Option<String>, FirstKeyError> {
        if !self.shared.configured().is_empty() {
            return Ok(None);
        }
        let secret = new_secret().map_err(FirstKeyError::Random)?;
        let key = NewKey { scopes: Scopes::ALL, ..NewKey::new(FIRST_KEY_NAME.to_owned(), &secret) };
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

impl std::fmt::Display for FirstKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random(error) => write!(f, "no random bytes for a first API key: {error}"),
            Self::Store(error) => write!(f, "the first API key can't be stored: {error}"),
        }
    }
}

impl std::error::Error for FirstKeyError {}
