//! Writing usage records in batches.

use sqlx::Connection as _;

use super::requests;
use super::row::UsageRow;
use crate::store::error::StoreError;
use crate::store::handle::Store;

impl Store {
    /// Writes all of `rows` or, on an error, none. Rows that were written before stay as they are.
    ///
    /// # Errors
    /// [`StoreError`]; the same rows may be written again.
    pub async fn record_usage(&self, rows: &[UsageRow<'_>]) -> Result<(), StoreError> {
        self.record_write(self.write_usage(rows).await)
    }

    async fn write_usage(&self, rows: &[UsageRow<'_>]) -> Result<(), StoreError> {
        // Held to the end: only the holder of this connection changes the cache of series.
        let mut connection = self.writable()?.acquire().await?;
        // The write lock from the beginning: numbers of series are assigned.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let (numbered, new_series) = self.series.resolve(rows, &mut transaction).await?;
        requests::write(&numbered, &mut transaction).await?;
        transaction.commit().await?;
        self.series.add(new_series);
        Ok(())
    }
}
