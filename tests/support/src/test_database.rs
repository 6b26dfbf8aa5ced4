//! The database that a test runs on: SQLite, or a Postgres database of its own.

use std::path::Path;

use crate::servers::postgres::Database;

/// The variable that chooses the database of tests that start a server: `sqlite` (default) or `postgres`.
pub const VARIABLE: &str = "PETSTREAM_TEST_DATABASE";

/// The database of one server.
pub enum TestDatabase {
    /// At this URL.
    Sqlite(String),
    /// Removed when dropped.
    Postgres(Database),
}

impl TestDatabase {
    /// An empty database of the kind that the environment chooses. SQLite has it in `folder`.
    pub async fn create(folder: &Path) -> Self {
        if is_postgres() { Self::Postgres(Database::create().await) } else { Self::sqlite(folder) }
    }

    /// As [`TestDatabase::create`]; SQLite has it in memory.
    pub async fn create_in_memory() -> Self {
        if is_postgres() {
            Self::Postgres(Database::create().await)
        } else {
            Self::Sqlite("sqlite::memory:".to_owned())
        }
    }

    /// SQLite in a file, for tests of what only SQLite does.
    pub fn sqlite(folder: &Path) -> Self {
        Self::Sqlite(format!("sqlite:{}", folder.join("petstream.db").display()))
    }

    pub fn url(&self) -> &str {
        match self {
            Self::Sqlite(url) => url,
            Self::Postgres(database) => &database.url,
        }
    }
}

/// Whether the environment chooses Postgres.
pub fn is_postgres() -> bool {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("{VARIABLE}={other}: expected sqlite or postgres"),
    }
}
