//! The executable as a process: start, signals, SIGKILL and restart.
#![cfg(test)]

mod database;
mod kill;
mod light_subscriber;
mod log;
mod memory;
mod reload;
mod restart;
mod shutdown;
mod start;
