//! The mark in the table `meta` of a database that was seeded.

use jiff::Timestamp;

use super::error::StoreError;
use super::transaction::WriteTransaction;

/// The row of `meta`; its value is the time, in milliseconds since 1970.
const SEEDED_AT: &str = "pets_seeded_at";

impl WriteTransaction {
    /// Marks the database as seeded; `false` if it was marked before.
    pub(crate) async fn mark_seeded(&mut self, at: Timestamp) -> Result<bool, StoreError> {
        let query = sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(SEEDED_AT)
            .bind(at.as_millisecond().to_string());
        Ok(query.execute(self.connection()).await?.rows_affected() > 0)
    }
}
