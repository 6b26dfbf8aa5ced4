//! Where a statement runs.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::engine::Engine;
use crate::store::postgres::PostgresHealth;

/// A pool of connections, or the one connection of a transaction.
pub(in crate::store) enum Executor<'c> {
    SqlitePool(&'c SqlitePool),
    Sqlite(&'c mut SqliteConnection),
    PostgresPool(&'c PgPool, &'c PostgresHealth),
    Postgres(&'c mut PgConnection, &'c PostgresHealth),
}

impl<'c> Executor<'c> {
    pub(in crate::store) const fn engine(&self) -> Engine {
        match self {
            Self::SqlitePool(_) | Self::Sqlite(_) => Engine::Sqlite,
            Self::PostgresPool(..) | Self::Postgres(..) => Engine::Postgres,
        }
    }

    /// The same connection for one more statement.
    pub(in crate::store) fn again(&mut self) -> Executor<'_> {
        match self {
            Self::SqlitePool(pool) => Executor::SqlitePool(pool),
            Self::Sqlite(connection) => Executor::Sqlite(connection),
            Self::PostgresPool(pool, health) => Executor::PostgresPool(pool, health),
            Self::Postgres(connection, health) => Executor::Postgres(connection, health),
        }
    }
}
