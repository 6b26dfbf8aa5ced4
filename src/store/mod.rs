//! The database: connections, migrations and every SQL statement of the server.
//!
//! The database is SQLite (`sqlite/`), of one process, or Postgres (`postgres/`), which servers share. Statements are
//! written once for both (`database/`); one file holds those of one subject. Other modules see [`Store`], its
//! transactions and plain data, never SQL or a row.

mod availability;
mod columns;
mod conditions;
mod copy;
mod database;
mod epoch;
mod error;
pub mod event_log;
mod fault;
mod handle;
pub(crate) mod idempotency;
mod inventory;
mod keys;
mod orders;
mod pets;
mod postgres;
mod seed;
mod sessions;
mod sqlite;
mod tickets;
mod transaction;
mod usage;

pub use copy::{Copied, CopyError, check_not_in_use};
pub use error::StoreError;
pub use fault::DatabaseFault;
pub use handle::Store;
pub use keys::{CreateKeyError, NewKey, StoredKey};
pub use postgres::PostgresNotifications;
pub use sqlite::{Backup, RestoreError};
pub(crate) use transaction::{ReadTransaction, WriteTransaction};
pub use usage::{UsageColumn, UsageCounts, UsageGroup, UsageRow};
