//! Opening the database: private files, connections, migrations, and errors that name the file and what to do.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection as _;
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::files::{DatabaseFiles, create_private};
use super::migrations::migrator;
use crate::store::error::{BUSY, CORRUPT, FULL, NOT_A_DATABASE, READ_ONLY, StoreError, result_code};

/// Connections for reading. A read takes well under a millisecond, so a few serve many requests.
const READ_CONNECTIONS: u32 = 4;
/// Longest wait for a free connection, and for the write lock of another process.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to an open database.
#[derive(Debug)]
pub(in crate::store) struct Sqlite {
    pub(in crate::store) reader: SqlitePool,
    /// The one connection that writes, even if the database file was moved; see [`Sqlite::writable`].
    pub(in crate::store) writer: SqlitePool,
    pub(in crate::store) files: Arc<DatabaseFiles>,
}

impl Sqlite {
    /// The one connection that writes, unless the database file is known to have moved.
    ///
    /// # Errors
    /// [`StoreError::FileMoved`]
    pub(in crate::store) fn writable(&self) -> Result<&SqlitePool, StoreError> {
        self.files.moved().map_or(Ok(&self.writer), |fault| Err(StoreError::FileMoved(fault)))
    }

    /// Opens `url` (`sqlite:PATH` or `sqlite::memory:`), creates the file if there is none, and runs the migrations.
    ///
    /// A new file is readable by its owner only (mode 600), and so are those that SQLite puts beside it.
    ///
    /// # Errors
    /// [`StoreError`], whose text names the URL or file and what to do.
    pub(in crate::store) async fn open(url: &str) -> Result<Self, StoreError> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(StoreError::Url(url.to_owned()));
        };
        if path.starts_with(":memory:") { Self::in_memory().await } else { Self::on_disk(url).await }
    }

    async fn in_memory() -> Result<Self, StoreError> {
        // A database in memory lives as long as its connection: one for all, never closed.
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?.foreign_keys(true);
        let pool = pool(1).connect_with(options).await?;
        migrate(&pool).await.map_err(|error| StoreError::Open(PathBuf::from(":memory:"), error.to_string()))?;
        Ok(Self { reader: pool.clone(), writer: pool, files: Arc::new(DatabaseFiles::in_memory()) })
    }

    async fn on_disk(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| StoreError::Url(url.to_owned()))?
            // It is created below, with its mode. If it is removed later, SQLite must not create another.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut must not roll back an event that was sent: another event would get its number.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .foreign_keys(true);
        let file = options.get_filename().to_path_buf();
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        if !folder.as_os_str().is_empty() && !folder.is_dir() {
            return Err(StoreError::Folder(folder));
        }
        let open_error = |error: sqlx::Error| StoreError::Open(file.clone(), describe(&error));
        create_private(&file).map_err(|error| open_error(error.into()))?;
        let files = Arc::new(DatabaseFiles::on_disk(&file));
        let pool = |connections| pool(connections).after_connect(refuse_other_files(Arc::clone(&files)));
        let writer = pool(1).before_acquire(is_idle).connect_with(options.clone()).await.map_err(open_error)?;
        migrate(&writer).await.map_err(|error| StoreError::Open(file.clone(), describe_migration(&file, &error)))?;
        let reader = pool(READ_CONNECTIONS).connect_with(options.read_only(true)).await.map_err(open_error)?;
        files.remember_opened();
        Ok(Self { reader, writer, files })
    }
}

async fn migrate(writer: &SqlitePool) -> Result<(), MigrateError> {
    migrator().run(writer).await
}

/// The settings of both pools. Connections are not tested before use: they lead to a file and not over a network, and a
/// caller that is dropped during the test would close the connection, and with it a database in memory. All connections
/// are opened at once and kept, since the path may lead to another file later.
fn pool(connections: u32) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false);
    pool.min_connections(connections).max_connections(connections).idle_timeout(None).max_lifetime(None)
}

/// Whether a connection can begin a transaction. When the disk is full, SQLite rolls a transaction back by itself;
/// sqlx does not detect it and refuses to begin another one on that connection. It is closed, and a new one is opened.
fn is_idle<'a>(
    connection: &'a mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'a, Result<bool, sqlx::Error>> {
    Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
}

/// Refuses new connections when the path leads to another file than the first ones have opened.
fn refuse_other_files(
    files: Arc<DatabaseFiles>,
) -> impl Fn(&mut SqliteConnection, PoolConnectionMetadata) -> BoxFuture<'_, Result<(), sqlx::Error>> + Send + Sync + 'static
{
    move |_, _| {
        let checked = files.find_moved().map_or(Ok(()), |fault| Err(sqlx::Error::Protocol(fault.to_string())));
        Box::pin(std::future::ready(checked))
    }
}

/// Describes why a database can't be opened, and what to do.
fn describe(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(result_code);
    let remedy = match code {
        Some(NOT_A_DATABASE) => {
            "it is not an SQLite database; choose another path, or put a backup in its place with \
                              `petstream restore`"
        }
        Some(CORRUPT) => "put a backup in its place with `petstream restore`",
        Some(READ_ONLY) => "let this user write the file, the files beside it and its folder",
        Some(FULL) => "make room on the disk",
        Some(BUSY) => "another program holds it; end that program, or try again",
        _ => "let this user read and write the file, the files beside it and its folder, or choose another path",
    };
    format!("{error}; {remedy}")
}

fn describe_migration(file: &Path, error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => describe(error),
        MigrateError::VersionMissing(_) => {
            "a newer version of petstream has changed its schema; run that version, or restore a backup from before"
                .to_owned()
        }
        error => format!(
            "its schema can't be brought up to date: {error}; restore a backup with `petstream restore`, or move {} \
             away to begin anew",
            file.display()
        ),
    }
}
