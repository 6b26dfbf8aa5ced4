//! Postgres: connections, migrations, and what a server with several users needs.
//!
//! Only the primary is used: a standby shows commits in another order. Statements that write run after a row lock on
//! the head of the event log, which does what SQLite's only writer does.

mod health;
mod identity;
mod migrations;
mod notifications;
mod open;

pub(in crate::store) use health::PostgresHealth;
pub(in crate::store) use identity::{IDENTITY, lock_head};
pub use notifications::PostgresNotifications;
pub(in crate::store) use open::Postgres;
