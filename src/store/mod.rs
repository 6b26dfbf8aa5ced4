//! The database: one writer, several readers, and the embedded migrations.
//!
//! SQLite allows one writer at a time; keeping a single connection for writing turns its
//! `SQLITE_BUSY` into an orderly queue. Readers see the last commit (write-ahead log).

pub mod event_log;
mod files;
mod keys;
mod migrations;
mod open;
mod restore;
mod sessions;
mod usage;

pub use files::Trouble;
pub use keys::{CreateKeyError, NewKey, StoredKey};
pub use restore::{Backup, RestoreError};
pub use usage::{UsageColumn, UsageCounts, UsageGroup, UsageRow};

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::SqlitePool;

use self::files::Files;

/// SQLite's result codes.
const BUSY: u32 = 5;
const READ_ONLY: u32 = 8;
const IO: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANT_OPEN: u32 = 14;
const NO_DATABASE: u32 = 26;
/// Those of a database that can't be written.
const UNWRITABLE: [u32; 4] = [READ_ONLY, IO, FULL, CANT_OPEN];

/// Handles to the open database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    reader: SqlitePool,
    writer: SqlitePool,
    series: Arc<usage::SeriesCache>,
    files: Arc<Files>,
}

/// Why the database could not be opened or used.
#[derive(Debug)]
pub enum StoreError {
    /// The URL is none that this build understands.
    Url(String),
    /// The folder of the database file does not exist.
    Folder(PathBuf),
    /// The database in this file could not be opened, or its schema not be brought up to date; why, and what to do.
    Open(PathBuf, String),
    /// Its file is no longer where it was: nothing is written.
    Moved(Trouble),
    /// Anything that the database said.
    Database(sqlx::Error),
    /// A row that this version cannot read.
    Corrupt(String),
}

impl Store {
    /// Connections that only read.
    #[must_use]
    pub const fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// The one connection that writes, whatever has become of the file: what writes while the server runs takes
    /// [`Store::writable`].
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

impl StoreError {
    /// Whether the database could not be written for a reason that may last, and that is none of the statement's: a full
    /// disk, a read-only file system, a disk that fails.
    #[must_use]
    pub fn is_unwritable(&self) -> bool {
        matches!(self, Self::Moved(_)) || self.code().is_some_and(|code| UNWRITABLE.contains(&code))
    }

    /// Whether the database had no time within its patience, so that another attempt may be luckier.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut)) || self.code() == Some(BUSY)
    }

    /// SQLite's result code. Extended ones keep it in the low byte.
    fn code(&self) -> Option<u32> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        code(&**error)
    }
}

fn code(error: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    error.code()?.parse::<u32>().ok().map(|code| code & 0xff)
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
            Self::Open(path, problem) => write!(f, "database: {}: {problem}", path.display()),
            Self::Moved(trouble) => write!(f, "database: {trouble}"),
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
