//! The handle to the open database.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqlitePool;

use super::error::StoreError;
use super::files::DatabaseFiles;
use super::usage::SeriesCache;

/// Connections to the open database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) reader: SqlitePool,
    pub(super) writer: SqlitePool,
    pub(super) series: Arc<SeriesCache>,
    pub(super) files: Arc<DatabaseFiles>,
}

impl Store {
    /// Connections that only read.
    #[must_use]
    pub const fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// The one connection that writes, even if the database file was moved. What writes while the server runs takes
    /// [`Store::writable`] instead.
    #[must_use]
    pub const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Path of the database file; none: it is in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.files.database()
    }

    /// User id of the owner of the database file; none: it is in memory, or the file is gone.
    #[must_use]
    pub fn owner(&self) -> Option<u32> {
        self.path()?.metadata().ok().map(|file| file.uid())
    }

    /// Runs an empty query.
    ///
    /// # Errors
    /// [`StoreError::Database`] if the database does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Closes all connections. SQLite then moves the write-ahead log into the database file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
impl Store {
    /// Runs a statement as a test of another module needs it, such as one that damages a row.
    pub(crate) async fn execute_raw(&self, sql: &str) -> Result<(), StoreError> {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.writer).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Store;

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
    async fn a_dropped_query_does_not_close_a_database_in_memory() {
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
    async fn writing_works_again_when_a_full_disk_has_space() {
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
        // A new connection, without the limit on its size.
        fill().await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM meta WHERE length(value) = 200000")
            .fetch_one(store.reader())
            .await
            .unwrap();
        assert_eq!(rows, 2);
    }

    #[tokio::test]
    async fn an_error_of_opening_names_the_url_or_the_folder() {
        let error = Store::open("postgres://x").await.unwrap_err().to_string();
        assert!(error.contains("sqlite:PATH"), "{error}");
        let error = Store::open("sqlite:/no/such/folder/p.db").await.unwrap_err().to_string();
        assert!(error.contains("/no/such/folder"), "{error}");
    }
}
