//! The files of an open database: the database, its write-ahead log, and the index of that log.
//!
//! [`DatabaseFiles`] records which files were opened, detects that a path leads to another file, and keeps the
//! database's last fault. It does not use the database itself.

use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::store::fault::DatabaseFault;

/// Mode of new files: readable and writable by their owner only, since they hold hashes of keys, pets and usage.
const PRIVATE_MODE: u32 = 0o600;
/// The permissions of group and others.
const OTHERS_MODE: u32 = 0o077;
/// The suffixes that SQLite appends to the path of the database for its files.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The identity of a file, whatever its path: device and inode.
type FileId = (u64, u64);

/// The paths and identities of the files of one database, and the faults found so far.
#[derive(Debug)]
pub(in crate::store) struct DatabaseFiles {
    /// `None`: a database in memory.
    database: Option<PathBuf>,
    /// The files when they were opened; `None` for a file that did not exist.
    opened: OnceLock<[Option<FileId>; 3]>,
    // std Mutex: never held across .await
    moved: Mutex<Option<DatabaseFault>>,
    write_failed: AtomicBool,
}

impl DatabaseFiles {
    pub(super) fn in_memory() -> Self {
        Self::new(None)
    }

    pub(super) fn on_disk(database: &Path) -> Self {
        Self::new(Some(database.to_path_buf()))
    }

    fn new(database: Option<PathBuf>) -> Self {
        Self { database, opened: OnceLock::new(), moved: Mutex::default(), write_failed: AtomicBool::new(false) }
    }

    /// Records the files that the paths lead to now. Called once, when all connections are open.
    pub(super) fn remember_opened(&self) {
        let Some(database) = &self.database else { return };
        let opened = family(database).map(|path| std::fs::metadata(path).ok().map(|file| file_id(&file)));
        let _ = self.opened.set(opened);
    }

    /// Compares the files that the paths lead to now with those that were opened.
    pub(in crate::store) fn find_moved(&self) -> Option<DatabaseFault> {
        let (database, opened) = (self.database.as_ref()?, self.opened.get()?);
        let now = family(database).map(|path| (std::fs::metadata(&path).map(|file| file_id(&file)), path));
        now.into_iter().zip(opened).find_map(|((now, path), opened)| match (now, (*opened)?) {
            (Ok(now), opened) => (now != opened).then_some(DatabaseFault::FileReplaced(path)),
            (Err(error), _) => (error.kind() == io::ErrorKind::NotFound).then_some(DatabaseFault::FileRemoved(path)),
        })
    }

    /// Compares as [`Self::find_moved`], keeps the result for [`Self::moved`], and logs it when it changes.
    pub(in crate::store) fn check_moved(&self) {
        let found = self.find_moved();
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if *moved == found {
            return;
        }
        match &found {
            Some(fault) => tracing::error!("database: {fault}; until then nothing is written"),
            None => tracing::info!("database: its files are back; it is written again"),
        }
        *moved = found;
    }

    /// The result of the last [`Self::check_moved`].
    pub(in crate::store) fn moved(&self) -> Option<DatabaseFault> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last write failed for a reason that lasts.
    pub(in crate::store) fn write_failed(&self) -> bool {
        self.write_failed.load(Ordering::Relaxed)
    }

    /// Records whether a write failed; returns whether that is a change.
    pub(in crate::store) fn set_write_failed(&self, failed: bool) -> bool {
        // Reads before it writes: the value hardly ever changes, and all threads share it.
        self.write_failed.load(Ordering::Relaxed) != failed
            && self.write_failed.swap(failed, Ordering::Relaxed) != failed
    }

    /// Path of the database; none: it is in memory.
    pub(in crate::store) fn database(&self) -> Option<&Path> {
        self.database.as_deref()
    }

    /// Files that group or others may read or write, with their modes.
    pub(in crate::store) fn accessible_to_others(&self) -> Vec<(PathBuf, u32)> {
        let paths = self.database.iter().flat_map(|database| family(database));
        let mode = |path: &Path| std::fs::metadata(path).ok().map(|file| file.mode() & 0o777);
        let modes = paths.filter_map(|path| mode(&path).map(|mode| (path, mode)));
        modes.filter(|(_, mode)| mode & OTHERS_MODE != 0).collect()
    }
}

/// The paths of a database and of the files that SQLite keeps beside it; the database first.
pub(super) fn family(database: &Path) -> [PathBuf; 3] {
    SUFFIXES.map(|suffix| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    })
}

/// Creates an empty file that only its owner may read and write. A file that exists stays as it is. SQLite gives the
/// files beside a database the mode of the database.
pub(super) fn create_private(file: &Path) -> io::Result<()> {
    // An existing file is not opened: closing it would release SQLite's locks on it in this process.
    if file.exists() {
        return Ok(());
    }
    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(file);
    match created {
        // The process's umask may have taken bits from the mode.
        Ok(created) => created.set_permissions(Permissions::from_mode(PRIVATE_MODE)),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn file_id(file: &Metadata) -> FileId {
    (file.dev(), file.ino())
}
