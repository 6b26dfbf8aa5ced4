//! A backup in place of the database.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::files::{family, make_private};
use super::{Store, StoreError};

/// How long to wait for somebody who has the database open.
const PATIENCE: Duration = Duration::from_millis(500);

/// A backup on its way: a copy beside the database, brought up to date, not yet in its place. Dropped before it is, the
/// copy is deleted and the database is as it was.
pub struct Backup {
    store: Store,
    copy: Copy,
    target: PathBuf,
}

/// Why a backup was not restored. The database is as it was.
#[derive(Debug)]
pub enum RestoreError {
    /// There is no such file.
    Missing(PathBuf),
    /// It is no database of this program.
    NoBackup(PathBuf),
    /// The backup is the database itself.
    Same,
    /// A server, or somebody else, has the database open.
    InUse(PathBuf),
    /// A file can't be read or written.
    File(PathBuf, std::io::Error),
    /// What a database said.
    Store(StoreError),
}

/// The copy, deleted when it is dropped.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left over does no harm, and there is nobody to tell.
        for path in family(&self.0) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Backup {
    /// Copies `file` to beside the database at `url`, and brings the copy's schema up to date.
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
                // Only a database that was open has files beside it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => drop(std::fs::remove_file(&to)),
                Err(error) => return Err(RestoreError::File(from, error)),
            }
        }
        if !is_ours(&copy.0).await {
            return Err(RestoreError::NoBackup(file.to_path_buf()));
        }
        let store = Store::open(&url_of(&copy.0)).await.map_err(RestoreError::Store)?;
        Ok(Self { store, copy, target })
    }

    /// The copy, to be changed before it takes the database's place.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Puts it in the database's place.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub async fn put_in_place(self) -> Result<(), RestoreError> {
        // Folds the write-ahead log into the file.
        self.store.close().await;
        not_in_use(&self.target).await?;
        let Self { copy, target, .. } = self;
        // A log of the old database must not be taken for one of the new.
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

/// Copies what is in a file, and not its mode: the copy is its owner's alone. What a former attempt has left is removed.
fn copy_privately(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = std::fs::File::open(from)?;
    if let Err(error) = std::fs::remove_file(to)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    make_private(to)?;
    let mut copy = std::fs::OpenOptions::new().write(true).open(to)?;
    std::io::copy(&mut source, &mut copy).map(drop)
}

/// Gives `copy` the mode of the database whose place it takes, if there is one.
fn keep_mode(database: &Path, copy: &Path) -> std::io::Result<()> {
    match std::fs::metadata(database) {
        Ok(file) => std::fs::set_permissions(copy, file.permissions()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The rename itself is on the disk only when its folder is.
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
    SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE).create_if_missing(false).connect().await
}

/// Whoever has a database in WAL mode open keeps a shared lock on it, so that nobody else can leave that mode.
async fn not_in_use(target: &Path) -> Result<(), RestoreError> {
    if !target.exists() {
        return Ok(());
    }
    let in_use = || RestoreError::InUse(target.to_path_buf());
    let mut connection = connect(target).await.map_err(|error| RestoreError::Store(error.into()))?;
    let mode: Result<String, _> = sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await;
    let free = match mode {
        Ok(mode) => mode == "delete",
        // What is no database is not in use, and may be replaced by one.
        Err(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code == "26"),
        Err(_) => false,
    };
    let _ = connection.close().await;
    if free { Ok(()) } else { Err(in_use()) }
}

/// Whether `file` is a sound database with pets in it.
async fn is_ours(file: &Path) -> bool {
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
            Self::NoBackup(file) => write!(f, "{} is no sound database of petstream", file.display()),
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

        /// A database that says `word`.
        async fn database(&self, name: &str, word: &str) -> Store {
            let store = Store::open(&self.url(name)).await.unwrap();
            let query = sqlx::query("INSERT INTO meta (key, value) VALUES ('word', ?)");
            query.bind(word).execute(store.writer()).await.unwrap();
            store
        }

        async fn word(&self, name: &str) -> String {
            let store = Store::open(&self.url(name)).await.unwrap();
            let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'word'");
            let word = query.fetch_one(store.reader()).await.unwrap();
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
    async fn a_backup_takes_the_place_of_a_database_or_of_none() {
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
    async fn what_stands_in_the_backups_own_log_is_restored_too() {
        let folder = Folder::new();
        let open = folder.database("backup.db", "logged").await;
        let backup = Backup::open(&folder.path("backup.db"), &folder.url("p.db")).await.unwrap();
        backup.put_in_place().await.unwrap();
        open.close().await;
        assert_eq!(folder.word("p.db").await, "logged");
    }

    #[tokio::test]
    async fn a_database_in_use_stays_even_if_it_came_to_use_late() {
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
    async fn what_is_no_backup_is_refused() {
        let folder = Folder::new();
        std::fs::write(folder.path("text"), "hello, hello, hello").unwrap();
        std::fs::write(folder.path("empty"), "").unwrap();
        folder.database("p.db", "new").await.close().await;
        for name in ["text", "empty"] {
            let refused = Backup::open(&folder.path(name), &folder.url("p.db")).await;
            assert!(matches!(refused, Err(RestoreError::NoBackup(_))), "{name}");
        }
        let missing = Backup::open(&folder.path("none"), &folder.url("p.db")).await;
        assert!(matches!(missing, Err(RestoreError::Missing(_))));
        let same = Backup::open(&folder.path("p.db"), &folder.url("p.db")).await;
        assert!(matches!(same, Err(RestoreError::Same)));
        assert_eq!(folder.names(), ["empty", "p.db", "text"]);
    }
}
