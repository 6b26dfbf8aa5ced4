//! Idempotency keys: a request that is sent twice is executed once.
//!
//! The answer to a request with a key is saved in the transaction of its change, so both exist or neither. Changes run
//! one after the other: a repetition that arrives while the first request still runs waits for it, and gets the same
//! answer. A refused request changes nothing and is not saved, so its repetition is a new attempt.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::Change;
use super::command_error::CommandError;
use crate::store::StoreError;
use crate::store::idempotency::SavedAnswer;

/// How long an answer is kept.
const RETENTION: SignedDuration = SignedDuration::from_hours(24);
/// Answers kept for one caller; the oldest are deleted first.
const MAX_PER_CALLER: u32 = 10_000;
/// Answers kept for all callers together; the oldest are deleted first.
const MAX_TOTAL: u32 = 100_000;
/// Answers beyond these bounds are deleted once in so many new ones, so the numbers may exceed the bounds by this.
const CLEANUP_INTERVAL: i64 = 100;

/// The identity of a request that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The id of the API key. Equal keys of different callers are different.
    pub caller: String,
    /// The key that the client chose.
    pub key: String,
    /// A digest of the whole request.
    pub request: String,
}

/// The result of a command that creates a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T> {
    /// The resource as it was created.
    pub value: T,
    /// Whether an earlier request with the same key created it.
    pub replayed: bool,
}

impl Change {
    /// The answer that was saved for `key`. The same key with another request is an error.
    pub(super) async fn saved_answer<T: DeserializeOwned>(
        &mut self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Created<T>>, CommandError> {
        let Some(key) = key else { return Ok(None) };
        let since = oldest_kept(self.at);
        let Some(saved) = self.transaction.saved_answer(&key.caller, &key.key, since).await? else { return Ok(None) };
        if saved.request != key.request {
            return Err(CommandError::KeyReused);
        }
        let value = serde_json::from_str(&saved.answer).map_err(|error| corrupt(&error))?;
        Ok(Some(Created { value, replayed: true }))
    }

    /// Saves the answer to `key`, and deletes old ones.
    pub(super) async fn save_answer(
        &mut self,
        key: Option<&IdempotencyKey>,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let Some(key) = key else { return Ok(()) };
        self.transaction.delete_answers_until(oldest_kept(self.at)).await?;
        let answer = serde_json::to_string(value).map_err(|error| corrupt(&error))?;
        let saved = SavedAnswer { request: key.request.clone(), answer };
        let number = self.transaction.save_answer(&key.caller, &key.key, &saved, self.at).await?;
        if number % CLEANUP_INTERVAL == 0 {
            // Each caller with an answer among the last ones may be beyond its share.
            for caller in self.transaction.callers_of_answers_after(number - CLEANUP_INTERVAL).await? {
                self.transaction.keep_newest_answers_to(&caller, MAX_PER_CALLER).await?;
            }
            self.transaction.keep_newest_answers(MAX_TOTAL).await?;
        }
        Ok(())
    }
}

fn oldest_kept(now: Timestamp) -> Timestamp {
    now.checked_sub(RETENTION).unwrap_or(Timestamp::MIN)
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("idempotency_keys.answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::petstore::pet_commands::tests::{empty, new_pet};
    use crate::wire::resource::pet::Pet;

    #[tokio::test]
    async fn the_oldest_answers_to_a_caller_are_deleted_and_no_others() {
        let (_store, pets) = empty().await;
        let pet = new_pet(&pets).await;
        let key = |caller: &str, key: usize| IdempotencyKey {
            caller: caller.to_owned(),
            key: key.to_string(),
            request: "r".to_owned(),
        };
        let mut change = Change::begin(&pets.store).await.unwrap();
        change.save_answer(Some(&key("you", 0)), &pet).await.unwrap();
        for number in 0..5 {
            change.save_answer(Some(&key("me", number)), &pet).await.unwrap();
        }
        change.transaction.keep_newest_answers_to("me", 2).await.unwrap();
        for (repeated, kept) in
            [(key("me", 2), false), (key("me", 3), true), (key("me", 4), true), (key("you", 0), true)]
        {
            let saved = change.saved_answer::<Pet>(Some(&repeated)).await.unwrap();
            assert_eq!(saved.is_some(), kept, "{repeated:?}");
        }
        change.transaction.keep_newest_answers(1).await.unwrap();
        for (repeated, kept) in [(key("me", 4), true), (key("me", 3), false), (key("you", 0), false)] {
            let saved = change.saved_answer::<Pet>(Some(&repeated)).await.unwrap();
            assert_eq!(saved.is_some(), kept, "{repeated:?}");
        }
    }

    #[tokio::test]
    async fn a_caller_that_never_gets_the_hundredth_answer_keeps_no_more_than_its_share() {
        let (store, pets) = empty().await;
        let pet = new_pet(&pets).await;
        let saved = "INSERT INTO idempotency_keys (number, caller, key, request, answer, at) \
                     WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10099) \
                     SELECT n, 'me', n, 'r', 'null', 1e15 FROM numbers";
        store.execute_raw(saved).await.unwrap();
        let mut change = Change::begin(&pets.store).await.unwrap();
        let key =
            |caller: &str, key: &str| IdempotencyKey { caller: caller.into(), key: key.into(), request: "r".into() };
        change.save_answer(Some(&key("you", "1")), &pet).await.unwrap();
        for (number, kept) in [("99", false), ("100", true), ("10099", true)] {
            let saved = change.transaction.saved_answer("me", number, Timestamp::UNIX_EPOCH).await.unwrap();
            assert_eq!(saved.is_some(), kept, "{number}");
        }
    }
}
