//! The table of browser sessions: the API key that a session token stands for. It holds the hash of the token, and the
//! hash of the key encrypted with the token.

use jiff::Timestamp;

use super::error::StoreError;
use super::handle::Store;
use crate::wire::api_key::KeyHash;

impl Store {
    /// Stores a session of `owner` until `ends`, and deletes sessions that have ended at `now`. `sealed` is the hash of
    /// the API key that the session stands for, encrypted with the session's token. `all` and `own` bound the sessions
    /// of all owners and of this one; the oldest are deleted.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open_session(
        &self,
        session: KeyHash,
        (owner, sealed): (&str, &str),
        now: Timestamp,
        ends: Timestamp,
        [all, own]: [u32; 2],
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_independent().await?;
        let query = transaction.connection().query("DELETE FROM event_sessions WHERE ends_at <= $1");
        query.bind(now.as_millisecond()).execute().await?;
        let sql = "INSERT INTO event_sessions (hash, key, owner, ends_at) VALUES ($1, $2, $3, $4)";
        let query = transaction.connection().query(sql).bind(session.to_hex()).bind_text(sealed).bind_text(owner);
        query.bind(ends.as_millisecond()).execute().await?;
        // SQLite knows no offset without a limit.
        let sql = "DELETE FROM event_sessions WHERE hash IN (SELECT hash FROM event_sessions WHERE owner = $1 \
                   ORDER BY ends_at DESC, rowid DESC LIMIT 1000000000 OFFSET $2)";
        transaction.connection().query(sql).bind_text(owner).bind(i64::from(own)).execute().await?;
        let sql = "DELETE FROM event_sessions WHERE hash IN (SELECT hash FROM event_sessions \
                   ORDER BY ends_at DESC, rowid DESC LIMIT 1000000000 OFFSET $1)";
        transaction.connection().query(sql).bind(i64::from(all)).execute().await?;
        transaction.commit().await
    }

    /// The encrypted hash of the key that a session stands for, unless the session has ended at `now`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn session_key(&self, session: KeyHash, now: Timestamp) -> Result<Option<String>, StoreError> {
        let query = self.reader().query("SELECT key FROM event_sessions WHERE hash = $1 AND ends_at > $2");
        let row = query.bind(session.to_hex()).bind(now.as_millisecond()).fetch_optional().await?;
        row.map(|row| row.get(0)).transpose()
    }

    /// Deletes a session, if there is one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn close_session(&self, session: KeyHash) -> Result<(), StoreError> {
        let query = self.writable()?.query("DELETE FROM event_sessions WHERE hash = $1");
        query.bind(session.to_hex()).execute().await?;
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
    async fn a_session_ends_and_the_number_of_sessions_is_bounded() {
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
            sqlx::query_scalar("SELECT count(*) FROM event_sessions").fetch_one(&store.sqlite().reader).await.unwrap();
        assert_eq!(left, 1, "ended sessions are deleted");
        for n in 10..=12 {
            store.open_session(session(n), (&n.to_string(), "sealed"), at(10), at(20 + n), [2, 3]).await.unwrap();
        }
        let mut good = Vec::new();
        for n in [9, 10, 11, 12] {
            good.push(store.session_key(session(n), at(10)).await.unwrap().is_some());
        }
        assert_eq!(good, [false, false, true, true], "sessions of all keys together are bounded");
    }
}
