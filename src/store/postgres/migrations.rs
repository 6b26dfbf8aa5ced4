//! The migrations of a Postgres database, in the order in which they run.
//!
//! They only extend the schema, so that servers of the version before and after run on it side by side: a server takes
//! a database that a newer version has migrated.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, description, SQL. A file that was released never changes: the database keeps its checksum.
const FILES: &[(i64, &str, &str)] = &[
    (1, "schema", include_str!("migrations/0001_schema.sql")),
    (2, "operation", include_str!("migrations/0002_operation.sql")),
];

/// All migrations, for a run over an open database.
pub(super) fn migrator() -> Migrator {
    let migration = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator { migrations: FILES.iter().map(migration).collect(), ignore_missing: true, ..Migrator::DEFAULT }
}
