//! Opening the database: its connections, and errors that name its file and the remedy.

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

use super::files::{Files, make_private};
use super::migrations::migrator;
use super::{BUSY, CORRUPT, FULL, NO_DATABASE, READ_ONLY, Store, StoreError, code};

/// Connections for reading; a read takes well under a millisecond, so a few serve many requests.
const READERS: u32 = 4;
/// Longest wait for a free connection, and for another process's write lock.
const PATIENCE: Duration = Duration::from_secs(5);

impl Store {
    /// Opens `url` (`sqlite:PATH` or `sqlite::memory:`), creates the file if need be, runs the migrations.
    ///
    /// A new file is its owner's alone (mode 600), and so are those that SQLite puts beside it.
    ///
    /// # Errors
    /// [`StoreError`], whose text names the URL or file and what to do.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(StoreError::Url(url.to_owned()));
        };
        if path.starts_with(":memory:") { Self::in_memory().await } else { Self::on_disk(url).await }
    }

    async fn in_memory() -> Result<Self, StoreError> {
        // A database in memory belongs to its connection: one for all, never closed.
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?.foreign_keys(true);
        let pool = pool(1).connect_with(options).await?;
        migrate(&pool).await.map_err(|error| StoreError::Open(PathBuf::from(":memory:"), error.to_string()))?;
        Ok(Self { reader: pool.clone(), writer: pool, series: Arc::default(), files: Arc::new(Files::none()) })
    }

    async fn on_disk(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| StoreError::Url(url.to_owned()))?
            // It is made here, with its mode; and none must be made in its place when it is gone.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // An event that was sent must not be rolled back by a power cut: its number would be given out again.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true);
        let file = options.get_filename().to_path_buf();
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        if !folder.as_os_str().is_empty() && !folder.is_dir() {
            return Err(StoreError::Folder(folder));
        }
        let refused = |error: sqlx::Error| StoreError::Open(file.clone(), problem(&error));
        make_private(&file).map_err(|error| refused(error.into()))?;
        let files = Arc::new(Files::of(&file));
        let pool = |most| pool(most).after_connect(only_to(Arc::clone(&files)));
        let writer = pool(1).before_acquire(is_at_rest).connect_with(options.clone()).await.map_err(refused)?;
        migrate(&writer).await.map_err(|error| StoreError::Open(file.clone(), migration(&file, &error)))?;
        let reader = pool(READERS).connect_with(options.read_only(true)).await.map_err(refused)?;
        files.remember();
        Ok(Self { reader, writer, series: Arc::default(), files })
    }
}

async fn migrate(writer: &SqlitePool) -> Result<(), MigrateError> {
    migrator().run(writer).await
}

/// What all connections have in common. None is asked whether it still works before it is used: it leads to a file and not
/// over a network, and whoever gave up while it was being asked would have closed it, with everything that is in memory.
/// And all are made at once and kept: when the next one is made, the name of the file may lead to another.
fn pool(most: u32) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
    pool.min_connections(most).max_connections(most).idle_timeout(None).max_lifetime(None)
}

/// Whether a connection can begin a transaction. When the disk is full, SQLite ends one by itself, and sqlx, which was told of
/// no end, would begin none on that connection any more: it is closed, and the next one is a new one.
fn is_at_rest<'a>(
    connection: &'a mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'a, Result<bool, sqlx::Error>> {
    Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
}

/// Refuses connections to other files than those that were opened first.
fn only_to(
    files: Arc<Files>,
) -> impl Fn(&mut SqliteConnection, PoolConnectionMetadata) -> BoxFuture<'_, Result<(), sqlx::Error>> + Send + Sync + 'static
{
    move |_, _| {
        let looked = files.look().map_or(Ok(()), |trouble| Err(sqlx::Error::Protocol(trouble.to_string())));
        Box::pin(std::future::ready(looked))
    }
}

/// What is wrong with a database that can't be opened, and what to do.
fn problem(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(code);
    let remedy = match code {
        Some(NO_DATABASE) => {
            "it is no SQLite database; choose another path, or put a backup in its place with \
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

fn migration(file: &Path, error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => problem(error),
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
