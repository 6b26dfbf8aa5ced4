//! Whether the database can be written.
//!
//! SQLite keeps using the files that it opened, even if their paths lead elsewhere later. Then everything written is
//! lost at the next start, and other programs (`petstream keys`) work on another file. So the paths are checked every
//! two seconds. While one of them leads to another file or to none, nothing is written ([`Store::writable`]) until the
//! right file is back. Writes between the move and the check are in the old file only.
//!
//! A database that can't be written for another reason (full disk, read-only file system) fails at each attempt.
//! Attempts are not refused, since the next one may succeed; the fault is kept for health checks, and a write is tried
//! every two seconds.
//!
//! Postgres is asked every two seconds whether it can be written, and whether its history is that of the last command.
//! While requests are refused because it can't be reached, it is asked again 200 ms after each failure; one attempt lasts
//! up to ten seconds, in which the pool connects again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::StoreError;
use super::fault::DatabaseFault;
use super::handle::{Backend, Store};
use super::postgres::{IDENTITY, Postgres};
use super::sqlite::Sqlite;

/// Time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The same while Postgres can't be reached and requests are refused for it.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

impl Store {
    /// The last known reason for which writes fail.
    #[must_use]
    pub fn fault(&self) -> Option<DatabaseFault> {
        match &*self.backend {
            Backend::Sqlite(Sqlite { files, .. }) => {
                files.moved().or_else(|| files.write_failed().then_some(DatabaseFault::WriteFailed))
            }
            Backend::Postgres(postgres) => {
                postgres.health.unreachable_since().is_some().then_some(DatabaseFault::Unreachable)
            }
        }
    }

    /// As [`Store::fault`], after a check of the files.
    pub async fn check(&self) -> Option<DatabaseFault> {
        let Backend::Sqlite(Sqlite { files, .. }) = &*self.backend else { return self.fault() };
        let files = Arc::clone(files);
        // A slow file system must not block the thread.
        let checking = tokio::task::spawn_blocking(move || files.check_moved());
        // Fails only when the runtime ends.
        let _ = checking.await;
        self.fault()
    }

    /// Checks the files, or the server, every two seconds until `stop` is cancelled.
    pub async fn watch(self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.pause()).await.is_some() {
            self.check_and_retry().await;
        }
    }

    /// Waits until the next check is due.
    async fn pause(&self) {
        let due = tokio::time::sleep(CHECK_INTERVAL);
        let Backend::Postgres(postgres) = &*self.backend else { return due.await };
        tokio::select! {
            () = due => {}
            () = postgres.health.refused() => tokio::time::sleep(RETRY_INTERVAL).await,
        }
    }

    async fn check_and_retry(&self) {
        if let Backend::Postgres(postgres) = &*self.backend {
            if postgres.probe().await.is_ok() {
                // A failure is recorded by the statements.
                let _ = self.check_identity(postgres).await;
            }
            return;
        }
        if self.check().await == Some(DatabaseFault::WriteFailed) {
            // Without traffic, nothing else would find out that the fault is over.
            let _ = self.record_write(self.write_nothing().await);
        }
    }

    /// Begins a new epoch if Postgres has another history than the last command has seen: subscribers must not wait for
    /// the next command.
    async fn check_identity(&self, postgres: &Postgres) -> Result<(), StoreError> {
        let identity = if postgres.has_identity { IDENTITY } else { "identity" };
        let sql = format!("SELECT identity IS NULL OR identity = {identity} FROM event_head");
        if !self.reader().built(sql).fetch_value::<bool>().await? {
            self.begin_write().await?.commit().await?;
        }
        Ok(())
    }

    /// Writes a row without changing it.
    async fn write_nothing(&self) -> Result<(), StoreError> {
        let sql = "UPDATE meta SET value = value WHERE key = 'api_keys_version'";
        self.writable()?.query(sql).execute().await?;
        Ok(())
    }

    /// Records the result of a write for [`Store::fault`], and returns it. An error that is no fault of the database,
    /// such as a violated constraint, is not recorded.
    pub(super) fn record_write<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        let failed = match &written {
            Ok(_) => false,
            Err(error) if error.is_unwritable() => true,
            Err(_) => return written,
        };
        let Backend::Sqlite(Sqlite { files, .. }) = &*self.backend else { return written };
        if files.set_write_failed(failed) {
            match &written {
                Ok(_) => tracing::info!("the database can be written again"),
                Err(error) => tracing::error!(%error, "the database can't be written; it is tried again"),
            }
        }
        written
    }

    /// Files of the database that other users of this machine may read or write, with their modes.
    #[must_use]
    pub fn files_accessible_to_others(&self) -> Vec<(PathBuf, u32)> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.files.accessible_to_others(),
            Backend::Postgres(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    use super::*;

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
    async fn a_removed_or_replaced_file_stops_writing_until_it_is_back() {
        for name in ["p.db", "p.db-wal", "p.db-shm"] {
            let (folder, store) = Folder::store().await;
            let (file, aside) = (folder.path(name), folder.path("aside"));
            assert_eq!(store.check().await, None);
            std::fs::rename(&file, &aside).unwrap();
            assert_eq!(store.check().await, Some(DatabaseFault::FileRemoved(file.clone())), "{name}");
            assert!(matches!(store.sqlite().writable(), Err(StoreError::FileMoved(_))), "{name}");
            std::fs::copy(&aside, &file).unwrap();
            assert_eq!(store.check().await, Some(DatabaseFault::FileReplaced(file.clone())), "{name}");
            std::fs::rename(&aside, &file).unwrap();
            assert_eq!(store.check().await, None, "{name}");
            store.write_nothing().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_renamed_folder_removes_the_database_file() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        let store = Store::open(&format!("sqlite:{}", here.join("p.db").display())).await.unwrap();
        std::fs::rename(&here, &there).unwrap();
        assert!(matches!(store.check().await, Some(DatabaseFault::FileRemoved(_))));
        std::fs::rename(&there, &here).unwrap();
        assert_eq!(store.check().await, None);
    }

    #[tokio::test]
    async fn a_new_connection_to_another_file_is_refused() {
        let (folder, store) = Folder::store().await;
        std::fs::rename(folder.path("p.db"), folder.path("aside")).unwrap();
        std::fs::copy(folder.path("aside"), folder.path("p.db")).unwrap();
        // As after a full disk: the writing connection is closed and a new one is opened.
        store.sqlite().writer.acquire().await.unwrap().close().await.unwrap();
        let another = tokio::time::timeout(Duration::from_secs(1), store.sqlite().writer.acquire()).await;
        assert!(!matches!(another, Ok(Ok(_))));
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_written_is_retried() {
        let (_folder, store) = Folder::store().await;
        let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON meta BEGIN SELECT RAISE(FAIL, 'no'); END";
        sqlx::query(refuse).execute(&store.sqlite().writer).await.unwrap();
        let other = store.record_write(store.write_nothing().await);
        assert!(other.is_err() && store.fault().is_none(), "a refused statement is no fault of the database");
        let full = sqlx::query("PRAGMA max_page_count = 1; CREATE TABLE x (y)");
        let full = full.execute(&store.sqlite().writer).await.map_err(StoreError::from);
        assert!(store.record_write(full).is_err());
        assert_eq!(store.fault(), Some(DatabaseFault::WriteFailed));
        store.check_and_retry().await;
        assert_eq!(store.fault(), Some(DatabaseFault::WriteFailed), "it is still refused");
        sqlx::query("DROP TRIGGER refuse").execute(&store.sqlite().writer).await.unwrap();
        store.check_and_retry().await;
        assert_eq!(store.fault(), None);
    }

    #[tokio::test]
    async fn new_files_are_private_and_wider_modes_are_kept_and_reported() {
        let (folder, store) = Folder::store().await;
        let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().mode() & 0o777;
        for name in ["p.db", "p.db-wal", "p.db-shm"] {
            assert_eq!(mode(name), 0o600, "{name}");
        }
        assert_eq!(store.files_accessible_to_others(), []);
        store.close().await;
        std::fs::set_permissions(folder.path("p.db"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path("p.db").display())).await.unwrap();
        assert_eq!(mode("p.db"), 0o640);
        let open = ["p.db", "p.db-wal", "p.db-shm"].map(|name| (folder.path(name), 0o640));
        assert_eq!(store.files_accessible_to_others(), open);
    }
}
