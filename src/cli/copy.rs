//! `petstream copy`: moves a store from a file to Postgres.

use clap::Args;
use petstream::config::Database;
use petstream::store::{CopyError, Store, check_not_in_use};

use super::database::with_store;
use super::failure::{Failure, fault};
use super::output::note;
use super::runtime::block_on;

#[derive(Args)]
pub(super) struct Command {
    /// The database to read: sqlite:PATH, which no server uses
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database to fill: postgres://USER:PASSWORD@HOST/DATABASE, which is empty
    #[arg(long, value_name = "URL")]
    to: String,
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let (from, to) = (Database::at(&command.from), Database::at(&command.to));
    if from.is_postgres() || from.is_in_memory() || !to.is_postgres() {
        return Err(refused(CopyError::Kinds));
    }
    let file = from.file().unwrap_or_default();
    if !file.is_file() {
        return Err(Failure::Usage(format!("there is no file {}", file.display())));
    }
    block_on(async { check_not_in_use(&file).await.map_err(refused) })?;
    let copied = with_store(&from, async |source| {
        let target = Store::connect(&to).await.map_err(fault)?;
        let copied = source.copy_to(&target).await.map_err(refused);
        target.close().await;
        copied
    })?;
    note(&format!(
        "copied {} pets, {} orders, {} API keys, {} events and {} usage records to {to}; clients of live events read \
         their resources again, and browsers sign in again",
        copied.pets, copied.orders, copied.keys, copied.events, copied.usage
    ));
    Ok(())
}

fn refused(error: CopyError) -> Failure {
    match error {
        CopyError::Kinds | CopyError::NotEmpty => Failure::Usage(error.to_string()),
        other => fault(other),
    }
}
