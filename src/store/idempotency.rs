//! The table of saved answers to requests with an idempotency key.

use jiff::Timestamp;
use sqlx::Row as _;

use super::error::StoreError;
use super::transaction::WriteTransaction;

/// An answer that was saved together with the change that it reports.
pub(crate) struct SavedAnswer {
    /// A digest of the request.
    pub(crate) request: String,
    /// The resource as JSON.
    pub(crate) answer: String,
}

impl WriteTransaction {
    /// The answer saved after `since` for this key of this caller.
    pub(crate) async fn saved_answer(
        &mut self,
        caller: &str,
        key: &str,
        since: Timestamp,
    ) -> Result<Option<SavedAnswer>, StoreError> {
        let sql = "SELECT request, answer FROM idempotency_keys WHERE caller = ? AND key = ? AND at > ?";
        let query = sqlx::query(sql).bind(caller).bind(key).bind(since.as_millisecond());
        let Some(row) = query.fetch_optional(self.connection()).await? else { return Ok(None) };
        Ok(Some(SavedAnswer { request: row.try_get("request")?, answer: row.try_get("answer")? }))
    }

    /// Saves an answer; returns its number, which grows with each answer.
    pub(crate) async fn save_answer(
        &mut self,
        caller: &str,
        key: &str,
        answer: &SavedAnswer,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO idempotency_keys (caller, key, request, answer, at) VALUES (?, ?, ?, ?, ?)";
        let query = sqlx::query(sql).bind(caller).bind(key).bind(&answer.request).bind(&answer.answer);
        Ok(query.bind(at.as_millisecond()).execute(self.connection()).await?.last_insert_rowid())
    }

    /// Deletes the answers saved at `at` or earlier.
    pub(crate) async fn delete_answers_until(&mut self, at: Timestamp) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM idempotency_keys WHERE at <= ?").bind(at.as_millisecond());
        query.execute(self.connection()).await?;
        Ok(())
    }

    /// The callers of the answers after number `number`.
    pub(crate) async fn callers_of_answers_after(&mut self, number: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT caller FROM idempotency_keys WHERE number > ?";
        Ok(sqlx::query_scalar(sql).bind(number).fetch_all(self.connection()).await?)
    }

    /// Deletes all but the newest `keep` answers to `caller`.
    pub(crate) async fn keep_newest_answers_to(&mut self, caller: &str, keep: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency_keys WHERE caller = ?1 AND number <= \
                   (SELECT number FROM idempotency_keys WHERE caller = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        sqlx::query(sql).bind(caller).bind(keep).execute(self.connection()).await?;
        Ok(())
    }

    /// Deletes all but the newest `keep` answers to all callers together.
    pub(crate) async fn keep_newest_answers(&mut self, keep: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency_keys WHERE number <= \
                   (SELECT number FROM idempotency_keys ORDER BY number DESC LIMIT 1 OFFSET ?)";
        sqlx::query(sql).bind(keep).execute(self.connection()).await?;
        Ok(())
    }
}
