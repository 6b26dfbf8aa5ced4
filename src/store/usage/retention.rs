//! Deleting old usage records.

use jiff::Timestamp;

use super::row::DAY_MILLIS;
use crate::store::database::Engine;
use crate::store::error::StoreError;
use crate::store::handle::Store;

impl Store {
    /// Deletes records older than `before`, the oldest first: `limit` (at least 1) or a few more, so that other writers
    /// don't wait for long. Returns the number; fewer than `limit` means that none are left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete_usage_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let left = |deleted| Some(i64::from(limit).saturating_sub_unsigned(deleted)).filter(|left| *left > 0);
        let mut deleted = 0;
        let tables = match self.engine() {
            Engine::Sqlite => &["usage_requests", "usage"][..],
            Engine::Postgres => &["usage_requests"],
        };
        for table in tables {
            if let Some(left) = left(deleted) {
                deleted += self.delete_rows(table, before, left).await?;
            }
        }
        if let Some(left) = left(deleted) {
            deleted += self.delete_series(before, left).await?;
        }
        Ok(deleted)
    }

    /// A condition that holds for one server at a time: of those that share a database, one deletes, and the others try
    /// again at their next turn.
    fn alone(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => "true",
            // The number stands for this purpose, among all users of the database.
            Engine::Postgres => "(SELECT pg_try_advisory_xact_lock(7037028842))",
        }
    }

    async fn delete_rows(&self, table: &'static str, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        // A range of times is deleted in one pass, a list of rows is not. Rows of one millisecond go together.
        let alone = self.alone();
        let sql = format!(
            "DELETE FROM {table} WHERE {alone} AND at < $1 AND at <= coalesce(\
             (SELECT at FROM {table} WHERE at < $1 ORDER BY at LIMIT 1 OFFSET $2), $1)"
        );
        self.writable()?.built(sql).bind(before.as_millisecond()).bind(limit - 1).execute().await
    }

    /// Deletes series a day later than their last record, so that a record that is written late finds its series.
    async fn delete_series(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let alone = self.alone();
        let sql = format!(
            "DELETE FROM usage_series WHERE {alone} AND \
             series IN (SELECT series FROM usage_series WHERE day < $1 LIMIT $2)"
        );
        let _writing = self.series.writing().await;
        let query = self.writable()?.built(sql).bind(before.as_millisecond().div_euclid(DAY_MILLIS) - 1);
        let deleted = query.bind(limit).execute().await?;
        if deleted > 0 {
            self.series.clear();
        }
        Ok(deleted)
    }
}
