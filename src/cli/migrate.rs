//! `petstream migrate`: creates or updates the tables of the database.

use petstream::config::Sources;

use super::database::{lasting_database, with_store};
use super::failure::Failure;
use super::output::note;

pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let database = lasting_database(sources)?;
    // Opening runs the migrations.
    with_store(&database, async |_| Ok(()))?;
    note(&format!("the tables of {database} are up to date"));
    Ok(())
}
