//! `petstream restore`: a backup in place of the database.

use std::path::PathBuf;

use clap::Args;
use petstream::config::Sources;
use petstream::store::event_log::EventLog;
use petstream::store::{Backup, RestoreError};

use super::{Failure, database_file, fault, note};

#[derive(Args)]
pub(super) struct Command {
    /// A copy of a database, made with sqlite3's .backup or VACUUM INTO, or while no server ran
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(command: &Command, sources: &Sources) -> Result<(), Failure> {
    let database = database_file(sources)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(fault)?.block_on(async {
        let backup = Backup::open(&command.file, &database).await.map_err(refused)?;
        // Numbers that were given out after the backup was made will be given out again.
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
