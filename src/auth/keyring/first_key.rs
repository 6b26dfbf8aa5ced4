//! The first key: created at a start without any key, and shown once or left in a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::{Keyring, from_store, key_file};
use crate::store::{NewKey, StoreError};
use crate::wire::api_key::{Scopes, new_secret};

/// Name of the first key.
const FIRST_KEY_NAME: &str = "first";

/// Why the first key could not be created.
#[derive(Debug)]
pub enum FirstKeyError {
    /// The operating system has no random bytes.
    Random(getrandom::Error),
    /// The file for its secret can't be written or is something else, and why.
    File(PathBuf, String),
    /// The database could not be used.
    Store(StoreError),
}

impl Keyring {
    /// Creates a key named `first` with all scopes, if neither the configuration nor the database ever had one. Returns its
    /// secret, of which only the hash is stored.
    ///
    /// With `file`, the secret is durable in that file (mode 600) before the key is stored: a start that ends in between
    /// loses nothing, the next one stores the key of the file. An existing file is used if it holds a secret that nobody
    /// but the owner of the database can have written, else it is left as it is and the start fails.
    ///
    /// # Errors
    /// [`FirstKeyError`]
    pub async fn ensure_first(&self, file: Option<&Path>) -> Result<Option<String>, FirstKeyError> {
        if !self.shared.configured().is_empty() {
            return Ok(None);
        }
        let owner = self.shared.store.owner();
        // Called while the database is locked: no other process makes a first key at the same time.
        let make = || -> Result<_, FirstKeyError> {
            let mut secret = new_secret().map_err(FirstKeyError::Random)?;
            if let Some(file) = file {
                let in_file = key_file::secret_in(file, owner, secret);
                secret = in_file.map_err(|problem| FirstKeyError::File(file.to_path_buf(), problem))?;
            }
            let key = NewKey { scopes: Scopes::ALL, ..NewKey::new(FIRST_KEY_NAME.to_owned(), &secret) };
            Ok((key, secret))
        };
        let Some((stored, secret)) = self.shared.store.create_first_key(make).await? else {
            return Ok(None);
        };
        let hash = stored.key.hash;
        let principal = Arc::new(from_store(&stored, self.shared.per_key));
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut keys).insert(hash, principal);
        Ok(Some(secret))
    }

    /// Whether there is no key at all, so that every request is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl From<StoreError> for FirstKeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for FirstKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random(error) => write!(f, "no random bytes for a first API key: {error}"),
            Self::File(file, problem) => write!(
                f,
                "no first API key can be made, as its secret belongs into {}: {problem}; or set PETSTREAM_API_KEY, or \
                 show the secret with --print-key",
                file.display()
            ),
            Self::Store(error) => write!(f, "the first API key can't be stored: {error}"),
        }
    }
}

impl std::error::Error for FirstKeyError {}
