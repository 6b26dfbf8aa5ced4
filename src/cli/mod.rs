//! The command line: one file for each command, and what they share.
//!
//! `arguments` is what can be asked for, `run` dispatches it, `failure` says why a command failed. Depends on the
//! library only through its public interface. Results go to stdout, messages about them to stderr; the exit code is 0,
//! 1 (failed) or 64 (wrong usage or configuration).

mod arguments;
mod check;
mod database;
mod epoch;
mod events;
mod failure;
mod keys;
mod output;
mod restore;
mod run;
mod runtime;
mod serve;
mod signals;
mod usage;

pub(crate) use run::run;
