//! The table of saved answers to requests with an idempotency key.

use jiff::Timestamp;

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
        let sql = "SELECT request, answer FROM idempotency_keys WHERE caller = $1 AND key = $2 AND at > $3";
        let query = self.connection().query(sql).bind_text(caller).bind_text(key).bind(since.as_millisecond());
        let Some(row) = query.fetch_optional().await? else { return Ok(None) };
        Ok(Some(SavedAnswer { request: row.get("request")?, answer: row.get("answer")? }))
    }

    /// Saves an answer; returns its number, which grows with each answer.
    pub(crate) async fn save_answer(
        &mut self,
        caller: &str,
        key: &str,
        answer: &SavedAnswer,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        // One transaction writes at a time, so no other one takes this number.
        let sql = "INSERT INTO idempotency_keys (number, caller, key, request, answer, at) VALUES \
                   ((SELECT coalesce(max(number), 0) + 1 FROM idempotency_keys), $1, $2, $3, $4, $5) RETURNING number";
        let query = self.connection().query(sql).bind_text(caller).bind_text(key).bind_text(&answer.request);
        query.bind_text(&answer.answer).bind(at.as_millisecond()).fetch_value().await
    }

    /// Deletes the answers saved at `at` or earlier.
    pub(crate) async fn delete_answers_until(&mut self, at: Timestamp) -> Result<(), StoreError> {
        let query = self.connection().query("DELETE FROM idempotency_keys WHERE at <= $1");
        query.bind(at.as_millisecond()).execute().await?;
        Ok(())
    }

    /// The callers of the answers after number `number`.
    pub(crate) async fn callers_of_answers_after(&mut self, number: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT caller FROM idempotency_keys WHERE number > $1";
        self.connection().query(sql).bind(number).fetch_values().await
    }

    /// Deletes all but the newest `keep` answers to `caller`.
    pub(crate) async fn keep_newest_answers_to(&mut self, caller: &str, keep: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency_keys WHERE caller = $1 AND number <= \
                   (SELECT number FROM idempotency_keys WHERE caller = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)";
        self.connection().query(sql).bind_text(caller).bind(i64::from(keep)).execute().await?;
        Ok(())
    }

    /// Deletes all but the newest `keep` answers to all callers together.
    pub(crate) async fn keep_newest_answers(&mut self, keep: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency_keys WHERE number <= \
                   (SELECT number FROM idempotency_keys ORDER BY number DESC LIMIT 1 OFFSET $1)";
        self.connection().query(sql).bind(i64::from(keep)).execute().await?;
        Ok(())
    }
}
