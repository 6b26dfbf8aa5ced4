//! `petstream epoch`: the name of the event log. With a new name, all cursors that clients hold become invalid.

use clap::Subcommand;
use petstream::config::Sources;
use petstream::store::event_log::EventLog;

use super::database::{lasting_database, with_store};
use super::failure::{Failure, fault};
use super::output::print;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Give the log of events a new name, and print it: every client reads all its resources again
    Rotate,
}

pub(super) fn run(command: &Command, sources: &Sources) -> Result<(), Failure> {
    let Command::Rotate = command;
    let database = lasting_database(sources)?;
    let epoch = with_store(&database, async |store| EventLog::new(store.clone()).rotate_epoch().await.map_err(fault))?;
    print(&format!("{}\n", epoch.as_str()))
}
