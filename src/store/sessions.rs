//! Sessions of browsers: which key a token stands for, by their hashes.

use jiff::Timestamp;

use super::{Store, StoreError};
use crate::wire::key::KeyHash;

impl Store {
    /// Stores a session that stands for `key` until `ends`, and deletes those that have ended at `now`. A key has at
    /// most `most`: the oldest goes.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn open_session(
        &self,
        session: KeyHash,
        key: KeyHash,
        now: Timestamp,
        ends: Timestamp,
        most: u32,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writable()?.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM event_sessions WHERE ends_at <= ?")
            .bind(now.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO event_sessions (hash, key, ends_at) VALUES (?, ?, ?)")
            .bind(session.to_hex())
            .bind(key.to_hex())
            .bind(ends.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM event_sessions WHERE hash IN \
             (SELECT hash FROM event_sessions WHERE key = ? ORDER BY ends_at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        )
        .bind(key.to_hex())
        .bind(i64::from(most))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The key that a session stands for, unless it has ended at `now`.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] when what is stored is no hash.
    pub async fn session_key(&self, session: KeyHash, now: Timestamp) -> Result<Option<KeyHash>, StoreError> {
        let key: Option<String> = sqlx::query_scalar("SELECT key FROM event_sessions WHERE hash = ? AND ends_at > ?")
            .bind(session.to_hex())
            .bind(now.as_millisecond())
            .fetch_optional(self.reader())
            .await?;
        let read = |key: String| KeyHash::from_hex(&key).ok_or(StoreError::Corrupt("event_sessions.key".to_owned()));
        key.map(read).transpose()
    }

    /// Deletes a session, if there is one.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn close_session(&self, session: KeyHash) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM event_sessions WHERE hash = ?")
            .bind(session.to_hex())
            .execute(self.writable()?)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_session_ends_and_a_key_has_only_so_many() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let (key, other) = (KeyHash::of("key"), KeyHash::of("other"));
        let session = |n: i64| KeyHash::of(&n.to_string());
        store.open_session(session(0), other, at(0), at(5), 3).await.unwrap();
        for n in 1..=4 {
            store.open_session(session(n), key, at(0), at(10), 3).await.unwrap();
        }
        let mut good = Vec::new();
        for n in 0..=4 {
            good.push(store.session_key(session(n), at(4)).await.unwrap());
        }
        assert!(good == [Some(other), None, Some(key), Some(key), Some(key)]);
        assert!(store.session_key(session(0), at(5)).await.unwrap().is_none());
        store.open_session(session(9), other, at(10), at(20), 3).await.unwrap();
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM event_sessions").fetch_one(store.reader()).await.unwrap();
        assert_eq!(left, 1, "those that have ended are deleted");
    }
}
