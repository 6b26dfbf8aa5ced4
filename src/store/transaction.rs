//! Transactions: the only writer, and a consistent snapshot for reading.
//!
//! The statements stand in the file of their subject (`pets`, `orders`, `event_log` and so on) as methods of these
//! types.

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::error::StoreError;
use super::handle::Store;

/// A transaction that holds the only right to write. Dropped without a commit, it changes nothing.
pub(crate) struct WriteTransaction {
    store: Store,
    transaction: Transaction<'static, Sqlite>,
}

/// A transaction in which every statement reads the state that the first one has seen.
pub(crate) struct ReadTransaction {
    transaction: Transaction<'static, Sqlite>,
}

impl Store {
    /// Begins a transaction that writes, after all transactions before it have ended. Waits 5 s at most.
    pub(crate) async fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let transaction = self.writable()?.begin_with("BEGIN IMMEDIATE").await?;
        Ok(WriteTransaction { store: self.clone(), transaction })
    }

    /// Begins a transaction that reads.
    pub(crate) async fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(ReadTransaction { transaction: self.reader().begin().await? })
    }
}

impl WriteTransaction {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Makes the changes durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let Self { store, transaction } = self;
        store.record_write(transaction.commit().await.map_err(StoreError::from))
    }

    /// Commits, then calls `after`. Both run in a task of their own: if the caller is dropped meanwhile, `after` is
    /// still called for a commit that has succeeded.
    pub(crate) async fn commit_then(self, after: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let Self { store, transaction } = self;
        let commit = tokio::spawn(async move {
            transaction.commit().await?;
            after();
            Ok::<_, sqlx::Error>(())
        });
        let committed = commit.await.map_err(|_panicked| sqlx::Error::WorkerCrashed).flatten();
        store.record_write(committed.map_err(StoreError::from))
    }
}

impl ReadTransaction {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Ends the transaction.
    pub(crate) async fn end(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}
