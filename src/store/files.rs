//! The files of an open database: the database, its write-ahead log, and the log's index.
//!
//! SQLite goes on with the files that it opened, whatever happens to their names. When another file takes the name of one,
//! or none has it any more, everything that is written from then on is lost at the next start, and other programs
//! (`petstream keys`) work on something else. So the names are looked at every two seconds, and while one of them leads
//! elsewhere, nothing is written ([`Store::writable`]). What was written before that was noticed is in the old file only.
//! When the right file has its name again, writing goes on.
//!
//! A database that can't be written for another reason (a full disk, a file system that has become read-only) says so at
//! each attempt, and attempts are not refused: the next one may succeed. It is remembered for probes, and tried again
//! every two seconds.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError};

/// Time between two looks at the names.
const LOOK: Duration = Duration::from_secs(2);
/// Mode of new files: keys' hashes, pets and usage are nobody else's business.
const PRIVATE: u32 = 0o600;
/// What others may do with a file.
const OTHERS: u32 = 0o077;
/// What SQLite appends to the name of the database, for each of its files.
const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The file is no longer where it was.
    Removed(PathBuf),
    /// Another file is where it was.
    Replaced(PathBuf),
    /// The last attempt to write failed, and not for want of time.
    Unwritable,
}

impl Trouble {
    /// What it is, without names of files: for those who may ask without a key.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Removed(_) => "the database's file was removed or renamed",
            Self::Replaced(_) => "the database's file was replaced by another",
            Self::Unwritable => "the database can't be written",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = "put it back, or stop the server and start it again";
        match self {
            Self::Removed(path) => write!(f, "{} was removed or renamed while it was in use; {remedy}", path.display()),
            Self::Replaced(path) => write!(f, "{} was replaced while it was in use; {remedy}", path.display()),
            Self::Unwritable => f.write_str(self.reason()),
        }
    }
}

/// What a file is known by, whatever its name: its device and its number there.
type Identity = (u64, u64);

/// See the module.
#[derive(Debug)]
pub(super) struct Files {
    /// None: a database in memory.
    database: Option<PathBuf>,
    /// What its files were when it was opened; none: there was no such file.
    known: OnceLock<[Option<Identity>; 3]>,
    // std Mutex: never held across .await
    moved: Mutex<Option<Trouble>>,
    unwritable: AtomicBool,
}

impl Files {
    /// Those of a database in memory: none.
    pub(super) fn none() -> Self {
        Self::new(None)
    }

    /// Those of the database in `file`.
    pub(super) fn of(file: &Path) -> Self {
        Self::new(Some(file.to_path_buf()))
    }

    fn new(database: Option<PathBuf>) -> Self {
        Self { database, known: OnceLock::new(), moved: Mutex::default(), unwritable: AtomicBool::new(false) }
    }

    /// Remembers which files they are. Called once all connections are open.
    pub(super) fn remember(&self) {
        let Some(database) = &self.database else { return };
        let known = family(database).map(|path| std::fs::metadata(path).ok().map(|file| identity(&file)));
        let _ = self.known.set(known);
    }

    /// Whether the names still lead to the files that are open.
    pub(super) fn look(&self) -> Option<Trouble> {
        let (database, known) = (self.database.as_ref()?, self.known.get()?);
        let now = family(database).map(|path| (std::fs::metadata(&path).map(|file| identity(&file)), path));
        now.into_iter().zip(known).find_map(|((now, path), known)| match (now, (*known)?) {
            (Ok(now), known) => (now != known).then_some(Trouble::Replaced(path)),
            (Err(error), _) => (error.kind() == io::ErrorKind::NotFound).then_some(Trouble::Removed(path)),
        })
    }

    fn note(&self, found: Option<Trouble>) {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if *moved == found {
            return;
        }
        match &found {
            Some(trouble) => tracing::error!("database: {trouble}; until then nothing is written"),
            None => tracing::info!("database: its files are back; it is written again"),
        }
        *moved = found;
    }

    fn moved(&self) -> Option<Trouble> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store {
    /// The one connection that writes, unless it would write what nobody finds again.
    ///
    /// # Errors
    /// [`StoreError::Moved`]
    pub fn writable(&self) -> Result<&SqlitePool, StoreError> {
        self.files.moved().map_or(Ok(self.writer()), |trouble| Err(StoreError::Moved(trouble)))
    }

    /// Why nothing can be written, as far as is known.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        let unwritable = || self.files.unwritable.load(Ordering::Relaxed).then_some(Trouble::Unwritable);
        self.files.moved().or_else(unwritable)
    }

    /// As [`Store::trouble`], after a look at the files.
    pub async fn check(&self) -> Option<Trouble> {
        let files = std::sync::Arc::clone(&self.files);
        // A file system may take its time.
        let looked = tokio::task::spawn_blocking(move || files.note(files.look()));
        // It does not panic, and when the runtime ends there is nobody to answer.
        let _ = looked.await;
        self.trouble()
    }

    /// Looks at the files every two seconds, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            self.tend().await;
        }
    }

    async fn tend(&self) {
        if self.check().await == Some(Trouble::Unwritable) {
            // Perhaps nobody else tries.
            let _ = self.noted(self.touch().await);
        }
    }

    /// Writes something that changes nothing.
    async fn touch(&self) -> Result<(), StoreError> {
        let sql = "UPDATE meta SET value = value WHERE key = 'api_keys_version'";
        sqlx::query(sql).execute(self.writable()?).await?;
        Ok(())
    }

    /// Remembers for [`Store::trouble`] how an attempt to write went.
    pub(crate) fn noted<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        let unwritable = match &written {
            Ok(_) => false,
            Err(error) if error.is_unwritable() => true,
            // That says nothing of it.
            Err(_) => return written,
        };
        // Read first: it hardly ever changes, and all share it.
        if self.files.unwritable.load(Ordering::Relaxed) != unwritable {
            self.files.unwritable.store(unwritable, Ordering::Relaxed);
            match &written {
                Ok(_) => tracing::info!("the database can be written again"),
                Err(error) => tracing::error!(%error, "the database can't be written; it is tried again"),
            }
        }
        written
    }

    /// Files of the database that others on this machine may read or write, with their modes.
    #[must_use]
    pub fn open_to_others(&self) -> Vec<(PathBuf, u32)> {
        let families = self.files.database.iter().flat_map(|database| family(database));
        let mode = |path: &Path| std::fs::metadata(path).ok().map(|file| file.mode() & 0o777);
        let modes = families.filter_map(|path| mode(&path).map(|mode| (path, mode)));
        modes.filter(|(_, mode)| mode & OTHERS != 0).collect()
    }
}

/// A database and the files that SQLite keeps beside it: the database first.
pub(super) fn family(database: &Path) -> [PathBuf; 3] {
    ENDINGS.map(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        name.into()
    })
}

/// Makes an empty file that only its owner may read, unless there is one already, which stays as it is. SQLite gives the
/// files beside a database the mode of the database.
pub(super) fn make_private(file: &Path) -> io::Result<()> {
    // One that is there is not opened: to close it would take SQLite's locks on it away from this process.
    if file.exists() {
        return Ok(());
    }
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(file).map(drop)
}

fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Folder(tempfile::TempDir);

    impl Folder {
        async fn store() -> (Self, Store) {
            let folder = Self(tempfile::tempdir().unwrap());
            let store = Store::open(&format!("sqlite:{}", folder.path("p.db").display())).await.unwrap();
            (folder, store)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }

    #[tokio::test]
    async fn a_file_that_is_removed_or_replaced_stops_writing_until_it_is_back() {
        for name in ["p.db", "p.db-wal", "p.db-shm"] {
            let (folder, store) = Folder::store().await;
            let (file, aside) = (folder.path(name), folder.path("aside"));
            assert_eq!(store.check().await, None);
            std::fs::rename(&file, &aside).unwrap();
            assert_eq!(store.check().await, Some(Trouble::Removed(file.clone())), "{name}");
            assert!(matches!(store.writable(), Err(StoreError::Moved(_))), "{name}");
            std::fs::copy(&aside, &file).unwrap();
            assert_eq!(store.check().await, Some(Trouble::Replaced(file.clone())), "{name}");
            std::fs::rename(&aside, &file).unwrap();
            assert_eq!(store.check().await, None, "{name}");
            store.touch().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_renamed_takes_the_database_away() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        let store = Store::open(&format!("sqlite:{}", here.join("p.db").display())).await.unwrap();
        std::fs::rename(&here, &there).unwrap();
        assert!(matches!(store.check().await, Some(Trouble::Removed(_))));
        std::fs::rename(&there, &here).unwrap();
        assert_eq!(store.check().await, None);
    }

    #[tokio::test]
    async fn no_connection_is_made_to_another_file() {
        let (folder, store) = Folder::store().await;
        std::fs::rename(folder.path("p.db"), folder.path("aside")).unwrap();
        std::fs::copy(folder.path("aside"), folder.path("p.db")).unwrap();
        // As after a full disk: the connection that writes is closed, and the next one is a new one.
        store.writer().acquire().await.unwrap().close().await.unwrap();
        let another = tokio::time::timeout(Duration::from_secs(1), store.writer().acquire()).await;
        assert!(!matches!(another, Ok(Ok(_))));
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_written_is_tried_until_it_can() {
        let (_folder, store) = Folder::store().await;
        let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON meta BEGIN SELECT RAISE(FAIL, 'no'); END";
        sqlx::query(refuse).execute(store.writer()).await.unwrap();
        let other = store.noted(store.touch().await);
        assert!(other.is_err() && store.trouble().is_none(), "what is refused was not for want of room");
        let full = sqlx::query("PRAGMA max_page_count = 1; CREATE TABLE x (y)");
        let full = full.execute(store.writer()).await.map_err(StoreError::from);
        assert!(store.noted(full).is_err());
        assert_eq!(store.trouble(), Some(Trouble::Unwritable));
        store.tend().await;
        assert_eq!(store.trouble(), Some(Trouble::Unwritable), "it is still refused");
        sqlx::query("DROP TRIGGER refuse").execute(store.writer()).await.unwrap();
        store.tend().await;
        assert_eq!(store.trouble(), None);
    }

    #[tokio::test]
    async fn new_files_are_the_owners_alone_and_wider_ones_stay_and_are_named() {
        let (folder, store) = Folder::store().await;
        let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().mode() & 0o777;
        for name in ["p.db", "p.db-wal", "p.db-shm"] {
            assert_eq!(mode(name), PRIVATE, "{name}");
        }
        assert_eq!(store.open_to_others(), []);
        store.close().await;
        std::fs::set_permissions(folder.path("p.db"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path("p.db").display())).await.unwrap();
        assert_eq!(mode("p.db"), 0o640);
        let open = ["p.db", "p.db-wal", "p.db-shm"].map(|name| (folder.path(name), 0o640));
        assert_eq!(store.open_to_others(), open);
    }
}
