//! Deleting old usage records.

use jiff::Timestamp;

use super::row::DAY_MILLIS;
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
        for table in ["usage_requests", "usage"] {
            if let Some(left) = left(deleted) {
                deleted += self.delete_rows(table, before, left).await?;
            }
        }
        if let Some(left) = left(deleted) {
            deleted += self.delete_series(before, left).await?;
        }
        Ok(deleted)
    }

    async fn delete_rows(&self, table: &'static str, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        // A range of times is deleted in one pass, a list of rows is not. Rows of one millisecond go together.
        let sql = format!(
            "DELETE FROM {table} WHERE at < ?1 AND at <= coalesce(\
             (SELECT at FROM {table} WHERE at < ?1 ORDER BY at LIMIT 1 OFFSET ?2), ?1)"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(before.as_millisecond()).bind(limit - 1);
        Ok(query.execute(self.writable()?).await?.rows_affected())
    }

    /// Deletes series a day later than their last record, so that a record that is written late finds its series.
    async fn delete_series(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM usage_series WHERE series IN (SELECT series FROM usage_series WHERE day < ? LIMIT ?)";
        let query = sqlx::query(sql).bind(before.as_millisecond().div_euclid(DAY_MILLIS) - 1).bind(limit);
        let mut connection = self.writable()?.acquire().await?;
        let deleted = query.execute(&mut *connection).await?.rows_affected();
        if deleted > 0 {
            self.series.clear();
        }
        Ok(deleted)
    }
}
