//! The handle to the open database.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::database::{Engine, Executor};
use super::error::StoreError;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::usage::SeriesCache;
use crate::config::Database;

/// Connections to the open database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) backend: Arc<Backend>,
    pub(super) series: Arc<SeriesCache>,
}

/// The connections to one kind of database.
#[derive(Debug)]
pub(super) enum Backend {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl Store {
    /// Opens the database at `url` with the default settings: see [`Store::connect`].
    ///
    /// # Errors
    /// [`StoreError`], whose text names the URL or file and what to do.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::connect(&Database::at(url)).await
    }

    /// Opens `database`, and runs the migrations. An SQLite file is created if there is none.
    ///
    /// # Errors
    /// [`StoreError`], whose text names the URL, server or file and what to do.
    pub async fn connect(database: &Database) -> Result<Self, StoreError> {
        let backend = if database.is_postgres() {
            Backend::Postgres(Box::new(Box::pin(Postgres::open(database)).await?))
        } else {
            Backend::Sqlite(Sqlite::open(&database.url).await?)
        };
        Ok(Self { backend: Arc::new(backend), series: Arc::default() })
    }

    /// The kind of database.
    pub(super) fn engine(&self) -> Engine {
        self.reader().engine()
    }

    /// Whether several servers may use the database, each with its own memory.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.engine() == Engine::Postgres
    }

    /// Connections for statements that only read.
    pub(super) fn reader(&self) -> Executor<'_> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => Executor::SqlitePool(&sqlite.reader),
            Backend::Postgres(postgres) => Executor::PostgresPool(&postgres.reader, &postgres.health),
        }
    }

    /// Connections for statements that write, unless the database file is known to have moved.
    pub(super) fn writable(&self) -> Result<Executor<'_>, StoreError> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => Ok(Executor::SqlitePool(sqlite.writable()?)),
            Backend::Postgres(postgres) => Ok(Executor::PostgresPool(&postgres.writer, &postgres.health)),
        }
    }

    /// Path of the database file; none: it is in memory, or on a server.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.files.database(),
            Backend::Postgres(_) => None,
        }
    }

    /// User id of the owner of the database file; none: there is no file, or it is gone.
    #[must_use]
    pub fn owner(&self) -> Option<u32> {
        self.path()?.metadata().ok().map(|file| file.uid())
    }

    /// Runs an empty query.
    ///
    /// # Errors
    /// [`StoreError::Database`] if the database does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.reader().query("SELECT 1").fetch_optional().await?;
        Ok(())
    }

    /// Closes all connections. SQLite then moves the write-ahead log into the database file.
    pub async fn close(&self) {
        match &*self.backend {
            Backend::Sqlite(sqlite) => {
                sqlite.reader.close().await;
                sqlite.writer.close().await;
            }
            Backend::Postgres(postgres) => {
                postgres.reader.close().await;
                postgres.writer.close().await;
            }
        }
    }
}
#[cfg(test)]
impl Store {
    /// Runs a statement as a test of another module needs it, such as one that damages a row.
    pub(crate) async fn execute_raw(&self, sql: &str) -> Result<(), StoreError> {
        self.writable()?.built(sql.to_owned()).execute().await?;
        Ok(())
    }

    /// The connections of a test on SQLite.
    pub(super) fn sqlite(&self) -> &Sqlite {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite,
            Backend::Postgres(_) => panic!("a test of SQLite"),
        }
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
        let pets: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pets").fetch_one(&store.sqlite().reader).await.unwrap();
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
        let pets: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pets").fetch_one(&store.sqlite().reader).await.unwrap();
        assert_eq!(pets, 0);
    }

    #[tokio::test]
    async fn writing_works_again_when_a_full_disk_has_space() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let store = Store::open(&url).await.unwrap();
        let fill = async || -> Result<(), sqlx::Error> {
            let mut transaction = store.sqlite().writer.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("INSERT INTO meta VALUES (hex(randomblob(8)), hex(zeroblob(100000)))")
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        fill().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.sqlite().writer).await.unwrap();
        assert!(fill().await.unwrap_err().to_string().contains("full"));
        // A new connection, without the limit on its size.
        fill().await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM meta WHERE length(value) = 200000")
            .fetch_one(&store.sqlite().reader)
            .await
            .unwrap();
        assert_eq!(rows, 2);
    }

    #[tokio::test]
    async fn an_error_of_opening_names_the_url_or_the_folder() {
        let error = Store::open("mysql://x").await.unwrap_err().to_string();
        assert!(error.contains("sqlite:PATH"), "{error}");
        let error = Store::open("sqlite:/no/such/folder/p.db").await.unwrap_err().to_string();
        assert!(error.contains("/no/such/folder"), "{error}");
    }
}
