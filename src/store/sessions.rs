//! Sessions of browsers: which key a token stands for. The token's hash is stored, and the key's hidden by the token.

use jiff::Timestamp;

use super::{Store, StoreError};
use crate::wire::api_key::KeyHash;

impl Store {
    /// Stores a session of `owner` that stands for a key, whose hash is `sealed`, until `ends`, and deletes those that have
    /// ended at `now`. An owner has at most `most`: the oldest goes.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn open_session(
        &self,
        session: KeyHash,
        (owner, sealed): (&str, &str),
        now: Timestamp,
        ends: Timestamp,
        [all, own]: [u32; 2],
    ) -> Result<(), StoreError> {
        let mut transaction = self.writable()?.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM event_sessions WHERE ends_at <= ?")
            .bind(now.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO event_sessions (hash, key, owner, ends_at) VALUES (?, ?, ?, ?)")
            .bind(session.to_hex())
            .bind(sealed)
            .bind(owner)
            .bind(ends.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM event_sessions WHERE hash IN \
             (SELECT hash FROM event_sessions WHERE owner = ? ORDER BY ends_at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        )
        .bind(owner)
        .bind(i64::from(own))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM event_sessions WHERE hash IN \
             (SELECT hash FROM event_sessions ORDER BY ends_at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        )
        .bind(i64::from(all))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The sealed hash of the key that a session stands for, unless it has ended at `now`.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn session_key(&self, session: KeyHash, now: Timestamp) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT key FROM event_sessions WHERE hash = ? AND ends_at > ?");
        Ok(query.bind(session.to_hex()).bind(now.as_millisecond()).fetch_optional(self.reader()).await?)
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
        let (key, other) = (("config:key", "sealed"), ("config:other", "else"));
        let session = |n: i64| KeyHash::of(&n.to_string());
        store.open_session(session(0), other, at(0), at(5), [9, 3]).await.unwrap();
        for n in 1..=4 {
            store.open_session(session(n), key, at(0), at(10), [9, 3]).await.unwrap();
        }
        let mut good = Vec::new();
        for n in 0..=4 {
            good.push(store.session_key(session(n), at(4)).await.unwrap());
        }
        let sealed = |text: &str| Some(text.to_owned());
        assert_eq!(good, [sealed("else"), None, sealed("sealed"), sealed("sealed"), sealed("sealed")]);
        assert!(store.session_key(session(0), at(5)).await.unwrap().is_none());
        store.open_session(session(9), other, at(10), at(20), [9, 3]).await.unwrap();
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM event_sessions").fetch_one(store.reader()).await.unwrap();
        assert_eq!(left, 1, "those that have ended are deleted");
        for n in 10..=12 {
            store.open_session(session(n), (&n.to_string(), "sealed"), at(10), at(20 + n), [2, 3]).await.unwrap();
        }
        let mut good = Vec::new();
        for n in [9, 10, 11, 12] {
            good.push(store.session_key(session(n), at(10)).await.unwrap().is_some());
        }
        assert_eq!(good, [false, false, true, true], "there are only so many of all keys");
    }
}
