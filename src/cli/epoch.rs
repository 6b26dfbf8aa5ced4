//! `petstream epoch`: the name of the log of events.

use clap::Subcommand;
use petstream::config::Sources;
use petstream::store::Store;
use petstream::store::event_log::EventLog;

use super::{Failure, answer, database_file, fault};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Give the log of events a new name, and print it: every client reads anew what it knows
    Rotate,
}

pub(super) fn run(command: &Command, sources: &Sources) -> Result<(), Failure> {
    let Command::Rotate = command;
    let database = database_file(sources)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let epoch = runtime.map_err(fault)?.block_on(async {
        let store = Store::open(&database).await.map_err(fault)?;
        let epoch = EventLog::new(store.clone()).rotate_epoch().await.map_err(fault);
        store.close().await;
        epoch
    })?;
    answer(&format!("{}\n", epoch.as_str()))
}
