//! The executable itself, as an operator meets it: started in a folder, sent signals, killed, started again.
#![cfg(test)]

mod crowd;
mod database;
mod kill;
mod log;
mod program;
mod restart;
mod shutdown;
mod start;
#[allow(dead_code, reason = "shared with the tests that boot the server in their own process, and use more of it")]
#[path = "../it/support/mod.rs"]
mod support;
