//! The database: connections, migrations and every SQL statement of the server.
//!
//! SQLite allows one writer at a time. A single connection for writing turns its `SQLITE_BUSY` into an orderly queue;
//! several connections read, and see the last commit (write-ahead log). Other modules see [`Store`], its transactions
//! and plain data, never SQL or a row: so another database can take SQLite's place here. One file holds the statements
//! of one subject.

mod availability;
mod columns;
mod conditions;
mod error;
pub mod event_log;
mod fault;
mod files;
mod handle;
pub(crate) mod idempotency;
mod inventory;
mod keys;
mod migrations;
mod open;
mod orders;
mod pets;
mod restore;
mod seed;
mod sessions;
mod transaction;
mod usage;

pub use error::StoreError;
pub use fault::DatabaseFault;
pub use handle::Store;
pub use keys::{CreateKeyError, NewKey, StoredKey};
pub use restore::{Backup, RestoreError};
pub(crate) use transaction::{ReadTransaction, WriteTransaction};
pub use usage::{UsageColumn, UsageCounts, UsageGroup, UsageRow};
