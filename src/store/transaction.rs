//! Transactions: one writer at a time, and a consistent snapshot for reading.
//!
//! The statements stand in the file of their subject (`pets`, `orders`, `event_log` and so on) as methods of these
//! types.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Postgres, Sqlite, Transaction};

use super::database::Executor;
use super::error::StoreError;
use super::handle::{Backend, Store};
use super::postgres::{PostgresHealth, lock_head};

/// Longest wait for the answer of Postgres to the begin or the commit of a transaction.
const SERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Begins a transaction of Postgres that writes. The server ends one whose client is silent, such as a paused process:
/// all other writers wait for it.
const BEGIN_WRITE: &str = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '10s'; \
                           SET LOCAL idle_in_transaction_session_timeout = '3s'";
/// Begins a transaction of Postgres in which all statements see the state that the first one has seen.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                          SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// A transaction that holds the only right to write. Dropped without a commit, it changes nothing.
pub(crate) struct WriteTransaction {
    store: Store,
    open: OpenTransaction,
    /// Time at which the right was taken: by the clock of the database, where servers share one.
    at: Timestamp,
}

/// A transaction in which every statement reads the state that the first one has seen.
pub(crate) struct ReadTransaction {
    open: OpenTransaction,
}

enum OpenTransaction {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>, Arc<PostgresHealth>),
}

impl Store {
    /// Begins a transaction that writes, after all transactions before it have ended. Waits 5 s at most.
    pub(crate) async fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let (open, at) = match &*self.backend {
            Backend::Sqlite(sqlite) => {
                let transaction = sqlite.writable()?.begin_with("BEGIN IMMEDIATE").await?;
                (OpenTransaction::Sqlite(transaction), Timestamp::now())
            }
            Backend::Postgres(postgres) => {
                let mut transaction = begin(postgres.writer.begin_with(BEGIN_WRITE), &postgres.health).await?;
                let at = lock_head(&mut transaction, &postgres.health, postgres.has_identity).await?;
                (OpenTransaction::Postgres(transaction, Arc::clone(&postgres.health)), at)
            }
        };
        Ok(WriteTransaction { store: self.clone(), open, at })
    }

    /// Begins a transaction that reads.
    pub(crate) async fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let open = match &*self.backend {
            Backend::Sqlite(sqlite) => OpenTransaction::Sqlite(sqlite.reader.begin().await?),
            Backend::Postgres(postgres) => {
                let transaction = begin(postgres.reader.begin_with(BEGIN_READ), &postgres.health).await?;
                OpenTransaction::Postgres(transaction, Arc::clone(&postgres.health))
            }
        };
        Ok(ReadTransaction { open })
    }

    /// Begins a transaction that writes what no other transaction depends on, such as usage records: on Postgres it does
    /// not wait for others.
    pub(super) async fn begin_independent(&self) -> Result<WriteTransaction, StoreError> {
        let Backend::Postgres(postgres) = &*self.backend else { return self.begin_write().await };
        let transaction = begin(postgres.writer.begin_with(BEGIN_WRITE), &postgres.health).await?;
        let open = OpenTransaction::Postgres(transaction, Arc::clone(&postgres.health));
        Ok(WriteTransaction { store: self.clone(), open, at: Timestamp::now() })
    }
}

async fn begin(
    beginning: impl Future<Output = Result<Transaction<'static, Postgres>, sqlx::Error>>,
    health: &PostgresHealth,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    health.check()?;
    // Boxed: a future of a connection to Postgres has several kilobytes.
    let begun = tokio::time::timeout(SERVER_TIMEOUT, Box::pin(beginning)).await;
    let begun = begun.map_or(Err(StoreError::TimedOut), |begun| begun.map_err(StoreError::from));
    health.record(&begun);
    begun
}

/// What an error means at a commit. An error of the server itself says that nothing was committed. One that means a lost
/// connection does not, even if it came as an answer: a pooler sends it in the server's place.
fn commit_error(error: StoreError) -> StoreError {
    match &error {
        StoreError::Database(sqlx::Error::Database(_)) if !error.is_unreachable() => error,
        _ => StoreError::CommitUnknown,
    }
}

impl OpenTransaction {
    fn connection(&mut self) -> Executor<'_> {
        match self {
            Self::Sqlite(transaction) => Executor::Sqlite(transaction),
            Self::Postgres(transaction, health) => Executor::Postgres(transaction, health),
        }
    }

    async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(transaction) => Ok(transaction.commit().await?),
            Self::Postgres(transaction, health) => {
                let answer = tokio::time::timeout(SERVER_TIMEOUT, Box::pin(transaction.commit())).await;
                let committed = answer.map_or(Err(StoreError::TimedOut), |answer| answer.map_err(StoreError::from));
                let committed = committed.map_err(commit_error);
                health.record(&committed);
                committed
            }
        }
    }
}

impl WriteTransaction {
    pub(super) fn connection(&mut self) -> Executor<'_> {
        self.open.connection()
    }

    /// Time of the transaction, which does not precede the transactions before it, as far as their clock is steady.
    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// [`StoreError::CommitUnknown`] if the connection was lost: the changes may have been made.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let Self { store, open, .. } = self;
        store.record_write(open.commit().await)
    }

    /// Commits, then calls `after`. Both run in a task of their own: if the caller is dropped meanwhile, `after` is
    /// still called for a commit that has succeeded.
    ///
    /// # Errors
    /// As [`WriteTransaction::commit`].
    pub(crate) async fn commit_then(self, after: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let Self { store, open, .. } = self;
        let commit = tokio::spawn(async move {
            open.commit().await?;
            after();
            Ok(())
        });
        let committed = commit.await.unwrap_or(Err(StoreError::Database(sqlx::Error::WorkerCrashed)));
        store.record_write(committed)
    }
}

impl ReadTransaction {
    pub(super) fn connection(&mut self) -> Executor<'_> {
        self.open.connection()
    }

    /// Ends the transaction.
    pub(crate) async fn end(self) -> Result<(), StoreError> {
        match self.open {
            OpenTransaction::Sqlite(transaction) => Ok(transaction.commit().await?),
            // Rolled back when the connection goes back to its pool: there is nothing to wait for.
            OpenTransaction::Postgres(..) => Ok(()),
        }
    }
}
