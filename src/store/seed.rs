//! The mark in the table `meta` of a database that was seeded.

use jiff::Timestamp;

use super::error::StoreError;
use super::transaction::WriteTransaction;

/// The row of `meta`; its value is the time, in milliseconds since 1970.
const SEEDED_AT: &str = "pets_seeded_at";

impl WriteTransaction {
    /// Marks the database as seeded; `false` if it was marked before.
    pub(crate) async fn mark_seeded(&mut self, at: Timestamp) -> Result<bool, StoreError> {
        let query = self.connection().query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        Ok(query.bind(SEEDED_AT).bind(at.as_millisecond().to_string()).execute().await? > 0)
    }
}
