//! The database of commands that work beside a server.

use petstream::config::{Database, DatabaseSettings, Sources, load_database_settings};
use petstream::store::Store;

use super::failure::{Failure, fault};
use super::runtime::block_on;

/// The database of the configuration, which must not be in memory: such a one belongs to the server's process.
pub(super) fn lasting_database(sources: &Sources) -> Result<Database, Failure> {
    let DatabaseSettings { database, .. } = load_database_settings(sources).map_err(Failure::Configuration)?;
    require_lasting(&database)?;
    Ok(database)
}

/// Refuses a database in memory.
pub(super) fn require_lasting(database: &Database) -> Result<(), Failure> {
    if !database.is_in_memory() {
        return Ok(());
    }
    let problem = "a database in memory is the server's own; name its file with --database sqlite:PATH";
    Err(Failure::Usage(problem.to_owned()))
}

/// Runs a command with the database open, and closes it afterwards.
pub(super) fn with_store<T>(
    database: &Database,
    command: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let store = Store::connect(database).await.map_err(fault)?;
        let done = command(&store).await;
        store.close().await;
        done
    })
}
