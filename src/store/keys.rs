//! The table of API keys: those created with `petstream keys create`, and the first one, which the server creates.

use std::num::{NonZeroU32, NonZeroU64};

use jiff::Timestamp;
use uuid::Uuid;

use super::database::{Executor, Row};
use super::error::StoreError;
use super::handle::Store;
use crate::config::RateLimits;
use crate::wire::api_key::{KeyHash, Scope, Scopes};

/// Number of characters at the end of the secret that are stored, so that an operator can recognize a key.
const HINT_LEN: usize = 4;

const COLUMNS: &str = "id, name, hash, hint, scopes, models, requests_per_minute, tokens_per_minute, \
                       concurrent_streams, created_at, expires_at, revoked_at";

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Unique among all keys, revoked ones included.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: KeyHash,
    /// The secret's last characters.
    pub hint: String,
    /// The scopes of the key.
    pub scopes: Scopes,
    /// The models that it allows; `None`: all.
    pub models: Option<Vec<String>>,
    /// Rate limits of this key.
    pub limits: RateLimits,
    /// Time from which the key is refused; `None`: never. Stored in milliseconds.
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// A key with `secret`, all models, the default scopes, no rate limits and no expiry.
    #[must_use]
    pub fn new(name: String, secret: &str) -> Self {
        let hint = secret.len().checked_sub(HINT_LEN).and_then(|start| secret.get(start..)).unwrap_or_default();
        Self {
            name,
            hash: KeyHash::of(secret),
            hint: hint.to_owned(),
            scopes: Scopes::default(),
            models: None,
            limits: RateLimits::default(),
            expires_at: None,
        }
    }
}

/// A stored key.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// The id, which never changes.
    pub id: Uuid,
    /// The fields of the key.
    pub key: NewKey,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of revocation, if it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Why a key was not stored.
#[derive(Debug)]
pub enum CreateKeyError {
    /// A key of that name exists, perhaps revoked.
    NameTaken,
    /// An error of the database.
    Store(StoreError),
}

impl Store {
    /// Stores `key`.
    ///
    /// # Errors
    /// [`CreateKeyError`]
    pub async fn create_key(&self, key: NewKey) -> Result<StoredKey, CreateKeyError> {
        match insert(self.writable().map_err(CreateKeyError::Store)?, key).await {
            Ok(stored) => Ok(stored),
            Err(error) if error.is_unique_violation() => Err(CreateKeyError::NameTaken),
            Err(error) => Err(CreateKeyError::Store(error)),
        }
    }

    /// Stores the key that `make` returns if no key was ever stored, else returns `None`; the other value of `make` is
    /// passed on. `make` is called while no other process can write: of several that try at once, one succeeds, and
    /// `make` is called in that one only. It may block briefly.
    ///
    /// # Errors
    /// That of `make`, or a [`StoreError`].
    pub async fn create_first_key<T, E: From<StoreError>>(
        &self,
        make: impl FnOnce() -> Result<(NewKey, T), E>,
    ) -> Result<Option<(StoredKey, T)>, E> {
        let mut transaction = self.begin_write().await?;
        let any = transaction.connection().query("SELECT EXISTS (SELECT 1 FROM api_keys)");
        if any.fetch_value().await? {
            return Ok(None);
        }
        let (key, more) = make()?;
        let stored = insert(transaction.connection(), key).await?;
        transaction.commit().await?;
        Ok(Some((stored, more)))
    }

    /// All keys, revoked ones included, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys ORDER BY id");
        let rows = self.reader().built(sql).fetch_all().await?;
        rows.iter().map(key_of).collect()
    }

    /// The keys that are not revoked, and the [version](Self::keys_version) of this list.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn active_keys(&self) -> Result<(i64, Vec<StoredKey>), StoreError> {
        // The version is read first, so that a change in between is noticed at the next poll.
        let version = self.keys_version().await?;
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE revoked_at IS NULL ORDER BY id");
        let rows = self.reader().built(sql).fetch_all().await?;
        Ok((version, rows.iter().map(key_of).collect::<Result<_, _>>()?))
    }

    /// A number that changes whenever a process creates or revokes a key. Costs one look-up by primary key.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn keys_version(&self) -> Result<i64, StoreError> {
        let sql = "SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'api_keys_version'";
        self.reader().query(sql).fetch_value().await
    }

    /// Revokes the key with this name or id; `None` if there is none. A key that was revoked before stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke_key(&self, name_or_id: &str) -> Result<Option<StoredKey>, StoreError> {
        // An id takes precedence over a key whose name looks like the id of another.
        let sql = format!(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) \
             WHERE id = (SELECT id FROM api_keys WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1) \
             RETURNING {COLUMNS}"
        );
        let query = self.writable()?.built(sql).bind_text(name_or_id).bind(Timestamp::now().as_millisecond());
        query.fetch_optional().await?.as_ref().map(key_of).transpose()
    }
}

async fn insert(executor: Executor<'_>, key: NewKey) -> Result<StoredKey, StoreError> {
    let sql = format!("INSERT INTO api_keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    let id = Uuid::now_v7();
    let now = Timestamp::now().as_millisecond();
    let scopes: Vec<_> = key.scopes.iter().map(Scope::name).collect();
    let models = key.models.as_ref().map(serde_json::to_string).transpose();
    let models = models.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let tokens = key.limits.tokens_per_minute.map(|limit| i64::try_from(limit.get()).unwrap_or(i64::MAX));
    let expires = key.expires_at.map(Timestamp::as_millisecond);
    executor
        .built(sql)
        .bind(id.to_string())
        .bind_text(&key.name)
        .bind(key.hash.to_hex())
        .bind_text(&key.hint)
        .bind(scopes.join(" "))
        .bind(models)
        .bind(key.limits.requests_per_minute.map(|limit| i64::from(limit.get())))
        .bind(tokens)
        .bind(key.limits.concurrent_streams.map(|limit| i64::from(limit.get())))
        .bind(now)
        .bind(expires)
        .bind(None::<i64>)
        .execute()
        .await?;
    let key = NewKey { expires_at: timestamp(expires)?, ..key };
    let created_at = timestamp(Some(now))?.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(StoredKey { id, key, created_at, revoked_at: None })
}

fn timestamp(millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    let read = |millis| Timestamp::from_millisecond(millis).map_err(|error| StoreError::Corrupt(error.to_string()));
    millis.map(read).transpose()
}

fn key_of(row: &Row) -> Result<StoredKey, StoreError> {
    let id: String = row.get("id")?;
    let corrupt = |what: &str| StoreError::Corrupt(format!("the {what} of API key {id}"));
    let hash: String = row.get("hash")?;
    let scopes: String = row.get("scopes")?;
    let models: Option<String> = row.get("models")?;
    let models = models.map(|models| serde_json::from_str(&models)).transpose().map_err(|_| corrupt("models"))?;
    let limit = |column: &str| row.get::<Option<i64>, _>(column);
    let small = |limit: Option<i64>| limit.and_then(|limit| NonZeroU32::new(u32::try_from(limit).ok()?));
    let large = |limit: Option<i64>| limit.and_then(|limit| NonZeroU64::new(u64::try_from(limit).ok()?));
    let key = NewKey {
        name: row.get("name")?,
        hash: KeyHash::from_hex(&hash).ok_or_else(|| corrupt("hash"))?,
        hint: row.get("hint")?,
        // A scope that this version does not know allows nothing.
        scopes: scopes.split(' ').filter_map(Scope::from_name).collect(),
        models,
        limits: RateLimits {
            requests_per_minute: small(limit("requests_per_minute")?),
            tokens_per_minute: large(limit("tokens_per_minute")?),
            concurrent_streams: small(limit("concurrent_streams")?),
        },
        expires_at: timestamp(row.get("expires_at")?)?,
    };
    let created_at = timestamp(row.get("created_at")?)?.ok_or_else(|| corrupt("date"))?;
    let revoked_at = timestamp(row.get("revoked_at")?)?;
    Ok(StoredKey { id: Uuid::parse_str(&id).map_err(|_| corrupt("id"))?, key, created_at, revoked_at })
}

impl std::fmt::Display for CreateKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NameTaken => f.write_str("a key of that name exists already, perhaps revoked; choose another name"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CreateKeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stored_key_is_read_back_unchanged() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let key = NewKey {
            scopes: [Scope::Chat, Scope::Stats].into_iter().collect(),
            models: Some(vec!["a b".into(), "c".into()]),
            limits: RateLimits { tokens_per_minute: NonZeroU64::new(7), ..RateLimits::default() },
            expires_at: "2030-01-01T00:00:00.1234567Z".parse().ok(),
            ..NewKey::new("k".into(), "secret-secret-1234")
        };
        let stored = store.create_key(key).await.unwrap();
        let listed = store.list_keys().await.unwrap();
        assert_eq!(format!("{listed:?}"), format!("{:?}", [stored]));
        assert_eq!(listed[0].key.hint, "1234");
        assert!(listed[0].key.hash == KeyHash::of("secret-secret-1234"));
    }

    #[tokio::test]
    async fn every_change_moves_the_version_and_reading_does_not() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let start = store.keys_version().await.unwrap();
        store.create_key(NewKey::new("k".into(), "s")).await.unwrap();
        let created = store.keys_version().await.unwrap();
        assert_ne!(created, start);
        let revoked = store.revoke_key("k").await.unwrap().unwrap();
        assert_ne!(store.keys_version().await.unwrap(), created);
        let (version, active) = store.active_keys().await.unwrap();
        assert!(active.is_empty());
        let again = store.revoke_key(&revoked.id.to_string()).await.unwrap().unwrap();
        assert_eq!(again.revoked_at, revoked.revoked_at);
        store.list_keys().await.unwrap();
        assert!(store.revoke_key("nobody").await.unwrap().is_none());
        assert!(store.keys_version().await.unwrap() >= version);
    }

    #[tokio::test]
    async fn a_name_is_used_once_even_when_revoked() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.create_key(NewKey::new("k".into(), "s")).await.unwrap();
        store.revoke_key("k").await.unwrap();
        let error = store.create_key(NewKey::new("k".into(), "other")).await.unwrap_err();
        assert!(matches!(error, CreateKeyError::NameTaken));
        let never = || -> Result<(NewKey, ()), StoreError> { unreachable!("there was a key") };
        assert!(store.create_first_key(never).await.unwrap().is_none());
    }
}
