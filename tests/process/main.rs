//! The executable itself, as an operator meets it: started in a folder, sent signals, killed, started again.
#![cfg(test)]

mod database;
mod kill;
mod light_subscriber;
mod log;
mod restart;
mod shutdown;
mod start;
