//! The command line: one file for each command, and what they share.
//!
//! `arguments` defines the commands, `run` dispatches them, `failure` has the reasons for which they fail. Depends on
//! the library only through its public interface. Results go to stdout, messages about them to stderr; the exit code
//! is 0, 1 (failed) or 64 (wrong usage or configuration).

mod arguments;
mod check;
mod completions;
mod copy;
mod database;
mod epoch;
mod events;
mod failure;
mod healthcheck;
mod keys;
mod man;
mod migrate;
mod output;
mod reload;
mod restore;
mod run;
mod runtime;
mod serve;
mod signals;
mod systemd;
mod usage;

pub(crate) use run::run;
