//! The database: one writer, several readers, and the embedded migrations.
//!
//! SQLite allows one writer at a time; keeping a single connection for writing turns its
//! `SQLITE_BUSY` into an orderly queue. Readers see the last commit (write-ahead log).

mod keys;
mod restore;
mod sessions;
mod usage;

pub use keys::{CreateKeyError, NewKey, StoredKey};
pub use restore::{Backup, RestoreError};
pub use usage::{UsageColumn, UsageCounts, UsageGroup, UsageRow};

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection as _;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

/// Connections for reading; a read takes well under a millisecond, so a few serve many requests.
const READERS: u32 = 4;
/// Longest wait for a free connection, and for another process's write lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Handles to the open database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    reader: SqlitePool,
    writer: SqlitePool,
    series: Arc<usage::Known>,
}

/// Why the database could not be opened or used.
#[derive(Debug)]
pub enum StoreError {
    /// The URL is none that this build understands.
    Url(String),
    /// The folder of the database file does not exist.
    Folder(PathBuf),
    /// The schema could not be brought up to date.
    Migrate(sqlx::migrate::MigrateError),
    /// Anything that the database said.
    Database(sqlx::Error),
    /// A row that this version cannot read.
    Corrupt(String),
}

impl Store {
    /// Opens `url` (`sqlite:PATH` or `sqlite::memory:`), creates the file if need be, runs the migrations.
    ///
    /// # Errors
    /// [`StoreError`], whose text names the URL or file and what to do.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(StoreError::Url(url.to_owned()));
        };
        let store = if path == ":memory:" { Self::in_memory().await? } else { Self::on_disk(url).await? };
        sqlx::migrate!("src/store/migrations").run(&store.writer).await.map_err(StoreError::Migrate)?;
        Ok(store)
    }

    async fn in_memory() -> Result<Self, StoreError> {
        // A database in memory belongs to its connection: one for all, never closed.
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?.foreign_keys(true);
        let pool = pool()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        Ok(Self { reader: pool.clone(), writer: pool, series: Arc::default() })
    }

    async fn on_disk(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| StoreError::Url(url.to_owned()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An event that was sent must not be rolled back by a power cut: its number would be given out again.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true);
        let folder = options.get_filename().parent().map(PathBuf::from).unwrap_or_default();
        if !folder.as_os_str().is_empty() && !folder.is_dir() {
            return Err(StoreError::Folder(folder));
        }
        let writer = pool().max_connections(1).before_acquire(is_at_rest).connect_with(options.clone()).await?;
        let reader = pool().max_connections(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { reader, writer, series: Arc::default() })
    }

    /// Connections that only read.
    #[must_use]
    pub const fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// The one connection that writes.
    #[must_use]
    pub const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Whatever it says.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Closes all connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// What all connections have in common. None is asked whether it still works before it is used: it leads to a file and not
/// over a network, and whoever gave up while it was being asked would have closed it, with everything that is in memory.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false)
}

/// Whether a connection can begin a transaction. When the disk is full, SQLite ends one by itself, and sqlx, which was told of
/// no end, would begin none on that connection any more: it is closed, and the next one is a new one.
fn is_at_rest<'a>(
    connection: &'a mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'a, Result<bool, sqlx::Error>> {
    Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => {
                write!(f, "database: expected sqlite:PATH or sqlite::memory:, found {url}")
            }
            Self::Folder(path) => {
                write!(f, "database: the folder {} does not exist; create it or choose another path", path.display())
            }
            Self::Migrate(error) => write!(f, "database: the schema can't be brought up to date: {error}"),
            Self::Database(error) => write!(f, "database: {error}"),
            Self::Corrupt(what) => write!(f, "database: a row can't be read: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_can_be_opened_twice_and_its_schema_stays() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        Store::open(&url).await.unwrap().close().await;
        let store = Store::open(&url).await.unwrap();
        let pets: i64 = sqlx::query_scalar("SELECT count(*) FROM pets").fetch_one(store.reader()).await.unwrap();
        assert_eq!(pets, 0);
    }

    #[tokio::test]
    async fn whoever_leaves_in_the_middle_takes_no_database_in_memory_along() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        for polls in 0..200 {
            let mut ping = Box::pin(store.ping());
            for _ in 0..polls % 10 {
                if futures_util::poll!(&mut ping).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let pets: i64 = sqlx::query_scalar("SELECT count(*) FROM pets").fetch_one(store.reader()).await.unwrap();
        assert_eq!(pets, 0);
    }

    #[tokio::test]
    async fn a_full_disk_is_over_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let store = Store::open(&url).await.unwrap();
        let fill = async || -> Result<(), sqlx::Error> {
            let mut transaction = store.writer().begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("INSERT INTO meta VALUES (hex(randomblob(8)), hex(zeroblob(100000)))")
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        fill().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(store.writer()).await.unwrap();
        assert!(fill().await.unwrap_err().to_string().contains("full"));
        // Another connection, which may use the whole disk.
        fill().await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM meta WHERE length(value) = 200000")
            .fetch_one(store.reader())
            .await
            .unwrap();
        assert_eq!(rows, 2);
    }

    #[tokio::test]
    async fn errors_name_the_remedy() {
        let error = Store::open("postgres://x").await.unwrap_err().to_string();
        assert!(error.contains("sqlite:PATH"), "{error}");
        let error = Store::open("sqlite:/no/such/folder/p.db").await.unwrap_err().to_string();
        assert!(error.contains("/no/such/folder"), "{error}");
    }
}
