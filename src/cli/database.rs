//! The database of commands that work beside a server.

use petstream::config::{DatabaseSettings, Sources, load_database_settings};
use petstream::store::Store;

use super::failure::{Failure, fault};
use super::runtime::block_on;

/// The database of the configuration, which must be in a file: one in memory belongs to the server's process.
pub(super) fn database_file(sources: &Sources) -> Result<String, Failure> {
    let DatabaseSettings { database, .. } = load_database_settings(sources).map_err(Failure::Configuration)?;
    require_file(&database)?;
    Ok(database)
}

/// Refuses a database in memory.
pub(super) fn require_file(database: &str) -> Result<(), Failure> {
    if !database.starts_with("sqlite::memory:") {
        return Ok(());
    }
    let problem = "a database in memory is the server's own; name its file with --database sqlite:PATH";
    Err(Failure::Usage(problem.to_owned()))
}

/// Runs a command with the database open, and closes it afterwards.
pub(super) fn with_store<T>(
    database: &str,
    command: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let store = Store::open(database).await.map_err(fault)?;
        let done = command(&store).await;
        store.close().await;
        done
    })
}
