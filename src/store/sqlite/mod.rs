//! SQLite: connections, files, migrations, backups.
//!
//! SQLite allows one writer at a time. A single connection for writing turns its `SQLITE_BUSY` into an orderly queue;
//! several connections read, and see the last commit (write-ahead log).

mod files;
mod migrations;
mod open;
mod restore;

#[cfg(test)]
pub(in crate::store) use migrations::migrator;
pub(in crate::store) use open::Sqlite;
pub(in crate::store) use restore::not_in_use;
pub use restore::{Backup, RestoreError};
