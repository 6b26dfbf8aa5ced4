//! Live events over real sockets: stream format, replay, polling, authentication of browsers, shutdown.
#![cfg(test)]

mod browser_auth;
mod command_line;
mod overload;
mod polling;
mod replay;
mod shop;
mod shutdown;
mod stats;
mod wire;
