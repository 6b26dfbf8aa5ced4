//! What a test's servers keep their state in, and how many servers there are: chosen by the environment.

use std::path::Path;

use crate::servers::postgres::Database;
use crate::servers::redis::Namespace;

/// The variable that chooses the engines of tests that start a server: `sqlite` (default), `postgres`, or
/// `postgres+redis`.
pub const ENGINE: &str = "PETSTREAM_TEST_DATABASE";
/// The variable that chooses the number of servers on one database, behind a balancer: 1 (default) to 9. More than one
/// needs Postgres.
pub const REPLICAS: &str = "PETSTREAM_TEST_REPLICAS";

/// The engines of the servers of one test.
pub enum TestDatabase {
    /// At this URL.
    Sqlite(String),
    /// Removed when dropped.
    Postgres(Database),
    /// The same, with names of its own in a Redis.
    PostgresRedis(Database, Namespace),
}

impl TestDatabase {
    /// Empty engines of the kind that the environment chooses. SQLite has its file in `folder`.
    pub async fn create(folder: &Path) -> Self {
        Self::chosen(|| Self::sqlite(folder)).await
    }

    /// As [`TestDatabase::create`]; SQLite has it in memory.
    pub async fn create_in_memory() -> Self {
        Self::chosen(|| Self::Sqlite("sqlite::memory:".to_owned())).await
    }

    async fn chosen(sqlite: impl FnOnce() -> Self) -> Self {
        match std::env::var(ENGINE).as_deref() {
            Err(_) | Ok("sqlite") => {
                assert_eq!(replicas(), 1, "{REPLICAS}: several servers need Postgres");
                sqlite()
            }
            Ok("postgres") => Self::Postgres(Database::create().await),
            Ok("postgres+redis") => Self::PostgresRedis(Database::create().await, Namespace::create().await),
            Ok(other) => panic!("{ENGINE}={other}: expected sqlite, postgres or postgres+redis"),
        }
    }

    /// SQLite in a file, for tests of what only SQLite does.
    pub fn sqlite(folder: &Path) -> Self {
        Self::Sqlite(format!("sqlite:{}", folder.join("petstream.db").display()))
    }

    /// The URL of the database.
    pub fn url(&self) -> &str {
        match self {
            Self::Sqlite(url) => url,
            Self::Postgres(database) | Self::PostgresRedis(database, _) => &database.url,
        }
    }

    /// The lines of a configuration file for the engines beside the database.
    pub fn shared(&self) -> String {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => String::new(),
            Self::PostgresRedis(_, Namespace { url, prefix }) => format!("redis: {{url: '{url}', prefix: {prefix}}}\n"),
        }
    }

    /// How many servers a test starts on it.
    pub fn replicas(&self) -> usize {
        if matches!(self, Self::Sqlite(_)) { 1 } else { replicas() }
    }
}

/// Whether the servers of a test share their limits, in Redis.
pub fn shares_limits() -> bool {
    std::env::var(ENGINE).as_deref() == Ok("postgres+redis")
}

/// The number of servers that the environment chooses.
pub fn replicas() -> usize {
    let chosen = std::env::var(REPLICAS).unwrap_or_else(|_| "1".to_owned());
    let count = chosen.parse().ok().filter(|count| (1..=9).contains(count));
    count.unwrap_or_else(|| panic!("{REPLICAS}={chosen}: expected 1 to 9"))
}
