//! Restoring a backup: a copy of the backup is migrated beside the database, then renamed over it. The database is
//! unchanged until the rename, and must not be in use.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::files::{create_private, family};
use crate::store::error::{NOT_A_DATABASE, StoreError, result_code};
use crate::store::handle::Store;

/// Longest wait for a lock on the database.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// A copy of a backup beside the database, migrated and not yet in place. If it is dropped before
/// [`Backup::put_in_place`], the copy is deleted and the database is unchanged.
pub struct Backup {
    store: Store,
    copy: Copy,
    target: PathBuf,
}

/// Why a backup was not restored. The database is unchanged.
#[derive(Debug)]
pub enum RestoreError {
    /// There is no such file.
    Missing(PathBuf),
    /// The file is not a sound database of this program.
    NotABackup(PathBuf),
    /// The backup is the database itself.
    Same,
    /// A server or another program has the database open.
    InUse(PathBuf),
    /// A file can't be read or written.
    File(PathBuf, std::io::Error),
    /// An error of the database or of the copy.
    Store(StoreError),
}

/// The copy, deleted when it is dropped.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // Files that remain do no harm, and there is no caller to report an error to.
        for path in family(&self.0) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Backup {
    /// Copies `file` to a path beside the database at `url`, and migrates the copy.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub async fn open(file: &Path, url: &str) -> Result<Self, RestoreError> {
        let target = options(url)?.get_filename().to_path_buf();
        if !file.is_file() {
            return Err(RestoreError::Missing(file.to_path_buf()));
        }
        if same(file, &target) {
            return Err(RestoreError::Same);
        }
        not_in_use(&target).await?;
        let copy = Copy(beside(&target, ".restoring"));
        for (from, to) in family(file).into_iter().zip(family(&copy.0)) {
            match copy_privately(&from, &to) {
                Ok(()) => {}
                // Only a database that is open, or was not closed, has files beside it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => drop(std::fs::remove_file(&to)),
                Err(error) => return Err(RestoreError::File(from, error)),
            }
        }
        if !is_petstream_database(&copy.0).await {
            return Err(RestoreError::NotABackup(file.to_path_buf()));
        }
        let store = Store::open(&url_of(&copy.0)).await.map_err(RestoreError::Store)?;
        Ok(Self { store, copy, target })
    }

    /// The copy, for changes before it replaces the database.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Replaces the database with the copy.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub async fn put_in_place(self) -> Result<(), RestoreError> {
        // Moves the write-ahead log into the file.
        self.store.close().await;
        not_in_use(&self.target).await?;
        let Self { copy, target, .. } = self;
        // The new database must not get the write-ahead log of the old one.
        for path in family(&target).into_iter().skip(1) {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(RestoreError::File(path, error));
            }
        }
        let placed = keep_mode(&target, &copy.0)
            .and_then(|()| std::fs::File::open(&copy.0))
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&copy.0, &target))
            .and_then(|()| sync_folder(&target));
        placed.map_err(|error| RestoreError::File(target, error))
    }
}

/// Copies the contents of a file and not its mode: only the owner may read the copy. Removes what an earlier attempt
/// has left.
fn copy_privately(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = std::fs::File::open(from)?;
    if let Err(error) = std::fs::remove_file(to)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    create_private(to)?;
    let mut copy = std::fs::OpenOptions::new().write(true).open(to)?;
    std::io::copy(&mut source, &mut copy).map(drop)
}

/// Sets the mode of `copy` to that of the database that it replaces, if there is one.
fn keep_mode(database: &Path, copy: &Path) -> std::io::Result<()> {
    match std::fs::metadata(database) {
        Ok(file) => std::fs::set_permissions(copy, file.permissions()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the rename durable.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn url_of(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

fn options(url: &str) -> Result<SqliteConnectOptions, RestoreError> {
    SqliteConnectOptions::from_str(url).map_err(|_| RestoreError::Store(StoreError::Url(url.to_owned())))
}

async fn connect(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().filename(file).busy_timeout(LOCK_TIMEOUT).create_if_missing(false).connect().await
}

/// Fails if the database is open elsewhere. A connection to a database in WAL mode keeps a shared lock, with which no
/// other connection can leave that mode.
pub(in crate::store) async fn not_in_use(target: &Path) -> Result<(), RestoreError> {
    if !target.exists() {
        return Ok(());
    }
    let in_use = || RestoreError::InUse(target.to_path_buf());
    let mut connection = connect(target).await.map_err(|error| RestoreError::Store(error.into()))?;
    let mode: Result<String, _> = sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await;
    let free = match mode {
        Ok(mode) => mode == "delete",
        // A file that is not a database is not in use, and may be replaced.
        Err(sqlx::Error::Database(error)) => result_code(&*error) == Some(NOT_A_DATABASE),
        Err(_) => false,
    };
    let _ = connection.close().await;
    if free { Ok(()) } else { Err(in_use()) }
}

/// Whether `file` is a sound database with the tables of this program.
async fn is_petstream_database(file: &Path) -> bool {
    let Ok(mut connection) = connect(file).await else { return false };
    let sound: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await;
    let tables: Result<i64, _> = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'pets', '_sqlx_migrations')",
    )
    .fetch_one(&mut connection)
    .await;
    let _ = connection.close().await;
    sound.is_ok_and(|answer| answer == "ok") && tables.is_ok_and(|count| count == 3)
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(file) => write!(f, "there is no file {}", file.display()),
            Self::NotABackup(file) => write!(f, "{} is not a sound database of petstream", file.display()),
            Self::Same => f.write_str("the backup is the database itself; name another file"),
            Self::InUse(file) => write!(f, "{} is in use; stop the server first", file.display()),
            Self::File(file, error) => write!(f, "{}: {error}", file.display()),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RestoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn url(&self, name: &str) -> String {
            url_of(&self.path(name))
        }

        /// A database with a row that contains `word`.
        async fn database(&self, name: &str, word: &str) -> Store {
            let store = Store::open(&self.url(name)).await.unwrap();
            let query = sqlx::query("INSERT INTO meta (key, value) VALUES ('word', ?)");
            query.bind(word).execute(&store.sqlite().writer).await.unwrap();
            store
        }

        async fn word(&self, name: &str) -> String {
            let store = Store::open(&self.url(name)).await.unwrap();
            let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'word'");
            let word = query.fetch_one(&store.sqlite().reader).await.unwrap();
            store.close().await;
            word
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.0.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[tokio::test]
    async fn a_backup_replaces_a_database_or_becomes_a_new_one() {
        let folder = Folder::new();
        folder.database("backup.db", "old").await.close().await;
        folder.database("p.db", "new").await.close().await;
        for target in ["p.db", "other.db"] {
            let backup = Backup::open(&folder.path("backup.db"), &folder.url(target)).await.unwrap();
            backup.put_in_place().await.unwrap();
            assert_eq!(folder.word(target).await, "old");
        }
        assert_eq!(folder.names(), ["backup.db", "other.db", "p.db"]);
    }

    #[tokio::test]
    async fn the_write_ahead_log_of_a_backup_is_restored_too() {
        let folder = Folder::new();
        let open = folder.database("backup.db", "logged").await;
        let backup = Backup::open(&folder.path("backup.db"), &folder.url("p.db")).await.unwrap();
        backup.put_in_place().await.unwrap();
        open.close().await;
        assert_eq!(folder.word("p.db").await, "logged");
    }

    #[tokio::test]
    async fn a_database_in_use_is_not_replaced_even_if_it_was_opened_late() {
        let folder = Folder::new();
        folder.database("backup.db", "old").await.close().await;
        let open = folder.database("p.db", "new").await;
        let refused = Backup::open(&folder.path("backup.db"), &folder.url("p.db")).await;
        assert!(matches!(refused, Err(RestoreError::InUse(_))));
        open.close().await;
        let backup = Backup::open(&folder.path("backup.db"), &folder.url("p.db")).await.unwrap();
        let open = Store::open(&folder.url("p.db")).await.unwrap();
        assert!(matches!(backup.put_in_place().await, Err(RestoreError::InUse(_))));
        open.close().await;
        assert_eq!(folder.word("p.db").await, "new");
        assert_eq!(folder.names(), ["backup.db", "p.db"]);
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_backup_is_refused() {
        let folder = Folder::new();
        std::fs::write(folder.path("text"), "hello, hello, hello").unwrap();
        std::fs::write(folder.path("empty"), "").unwrap();
        folder.database("p.db", "new").await.close().await;
        for name in ["text", "empty"] {
            let refused = Backup::open(&folder.path(name), &folder.url("p.db")).await;
            assert!(matches!(refused, Err(RestoreError::NotABackup(_))), "{name}");
        }
        let missing = Backup::open(&folder.path("none"), &folder.url("p.db")).await;
        assert!(matches!(missing, Err(RestoreError::Missing(_))));
        let same = Backup::open(&folder.path("p.db"), &folder.url("p.db")).await;
        assert!(matches!(same, Err(RestoreError::Same)));
        assert_eq!(folder.names(), ["empty", "p.db", "text"]);
    }
}
