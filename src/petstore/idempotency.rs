//! Requests that are sent twice and done once.
//!
//! The answer to a request with an idempotency key is kept in the transaction that it made, so either both are there or
//! neither. Since changes are made one after the other, a request that comes while its twin is still at work waits, and
//! is then answered as the twin was. A request that was refused has changed nothing and is not kept: its repetition
//! is a new attempt.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

use super::change::Change;
use super::command_error::CommandError;
use crate::store::StoreError;

/// How long an answer is kept, milliseconds.
const KEEP: i64 = 24 * 60 * 60 * 1_000;
/// Answers kept of one caller; the oldest go first.
const MOST: i64 = 10_000;
/// Answers kept of all callers; likewise.
const MAX_OF_ALL: i64 = 100_000;
/// How many more may pile up before they go.
const SLACK: i64 = 100;

/// What makes a request the repetition of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who asks; keys of different callers never meet.
    pub caller: String,
    /// The key that the caller chose.
    pub key: String,
    /// A digest of all that was asked.
    pub request: String,
}

/// What a command made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<T> {
    /// The resource, as it was made.
    pub value: T,
    /// Whether that was on an earlier occasion, with the same key.
    pub replayed: bool,
}

impl Change {
    /// What was answered to `key` before.
    pub(super) async fn replay<T: DeserializeOwned>(
        &mut self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Done<T>>, CommandError> {
        let Some(key) = key else { return Ok(None) };
        let since = self.at.as_millisecond() - KEEP;
        let row = sqlx::query("SELECT request, answer FROM idempotency_keys WHERE caller = ? AND key = ? AND at > ?")
            .bind(&key.caller)
            .bind(&key.key)
            .bind(since)
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<&str, _>("request")? != key.request {
            return Err(CommandError::KeyReused);
        }
        let answer = serde_json::from_str(row.try_get("answer")?);
        let value = answer.map_err(|error| StoreError::Corrupt(format!("idempotency_keys.answer: {error}")))?;
        Ok(Some(Done { value, replayed: true }))
    }

    /// Keeps the answer to `key`, and forgets old ones.
    pub(super) async fn remember(
        &mut self,
        key: Option<&IdempotencyKey>,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let Some(key) = key else { return Ok(()) };
        let at = self.at.as_millisecond();
        sqlx::query("DELETE FROM idempotency_keys WHERE at <= ?").bind(at - KEEP).execute(self.connection()).await?;
        let answer = serde_json::to_string(value);
        let answer = answer.map_err(|error| StoreError::Corrupt(format!("idempotency_keys.answer: {error}")))?;
        let insert = "INSERT INTO idempotency_keys (caller, key, request, answer, at) VALUES (?, ?, ?, ?, ?)";
        let made = sqlx::query(insert)
            .bind(&key.caller)
            .bind(&key.key)
            .bind(&key.request)
            .bind(answer)
            .bind(at)
            .execute(self.connection())
            .await?;
        if made.last_insert_rowid() % SLACK == 0 {
            self.forget_beyond(&key.caller, MOST).await?;
            self.forget_all_beyond(MAX_OF_ALL).await?;
        }
        Ok(())
    }

    /// Forgets all but the last `most` answers to `caller`.
    async fn forget_beyond(&mut self, caller: &str, most: i64) -> Result<(), StoreError> {
        let delete = "DELETE FROM idempotency_keys WHERE caller = ?1 AND number <= \
                      (SELECT number FROM idempotency_keys WHERE caller = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        sqlx::query(delete).bind(caller).bind(most).execute(self.connection()).await?;
        Ok(())
    }

    /// Forgets all but the last `most` answers to anybody.
    async fn forget_all_beyond(&mut self, most: i64) -> Result<(), StoreError> {
        let delete = "DELETE FROM idempotency_keys WHERE number <= \
                      (SELECT number FROM idempotency_keys ORDER BY number DESC LIMIT 1 OFFSET ?)";
        sqlx::query(delete).bind(most).execute(self.connection()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::petstore::pet::Pet;
    use crate::petstore::pets::tests::{empty, made};

    #[tokio::test]
    async fn the_oldest_answers_to_a_caller_go_and_nobody_elses() {
        let (_store, pets) = empty().await;
        let pet = made(&pets).await;
        let key = |caller: &str, key: usize| IdempotencyKey {
            caller: caller.to_owned(),
            key: key.to_string(),
            request: "r".to_owned(),
        };
        let mut change = Change::begin(&pets).await.unwrap();
        change.remember(Some(&key("you", 0)), &pet).await.unwrap();
        for number in 0..5 {
            change.remember(Some(&key("me", number)), &pet).await.unwrap();
        }
        change.forget_beyond("me", 2).await.unwrap();
        for (asked, kept) in [(key("me", 2), false), (key("me", 3), true), (key("me", 4), true), (key("you", 0), true)]
        {
            let done = change.replay::<Pet>(Some(&asked)).await.unwrap();
            assert_eq!(done.is_some(), kept, "{asked:?}");
        }
        change.forget_all_beyond(1).await.unwrap();
        for (asked, kept) in [(key("me", 4), true), (key("me", 3), false), (key("you", 0), false)] {
            let done = change.replay::<Pet>(Some(&asked)).await.unwrap();
            assert_eq!(done.is_some(), kept, "{asked:?}");
        }
    }
}
