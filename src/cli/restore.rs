//! `petstream restore`: puts a backup in the place of the database.

use std::path::PathBuf;

use clap::Args;
use petstream::config::Sources;
use petstream::store::event_log::EventLog;
use petstream::store::{Backup, RestoreError};

use super::database::lasting_database;
use super::failure::{Failure, fault};
use super::output::note;
use super::runtime::block_on;

#[derive(Args)]
pub(super) struct Command {
    /// A copy of a database, made with sqlite3's .backup or VACUUM INTO, or while no server ran
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(command: &Command, sources: &Sources) -> Result<(), Failure> {
    let database = lasting_database(sources)?;
    if database.is_postgres() {
        let problem = "a backup of Postgres is restored with pg_restore while no server runs; then give the log of events \
                       a new name: petstream epoch rotate";
        return Err(Failure::Usage(problem.to_owned()));
    }
    block_on(async {
        let backup = Backup::open(&command.file, &database.url).await.map_err(refused)?;
        // Sequence numbers assigned after the backup was made will be assigned again, to other events.
        EventLog::new(backup.store().clone()).rotate_epoch().await.map_err(fault)?;
        backup.put_in_place().await.map_err(refused)
    })?;
    note(&format!("restored {} from {}", database, command.file.display()));
    Ok(())
}

fn refused(error: RestoreError) -> Failure {
    match error {
        RestoreError::Missing(_) | RestoreError::NotABackup(_) | RestoreError::Same => {
            Failure::Usage(error.to_string())
        }
        other => fault(other),
    }
}
