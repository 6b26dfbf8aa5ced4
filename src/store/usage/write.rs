//! Writing usage records in batches.

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
        // Held to the end: the cache has the series of a transaction only after its commit.
        let _writing = self.series.writing().await;
        let mut transaction = self.begin_independent().await?;
        let (numbered, new_series) = self.series.resolve(rows, transaction.connection()).await?;
        requests::write(&numbered, transaction.connection()).await?;
        transaction.commit().await?;
        self.series.add(new_series);
        Ok(())
    }
}
