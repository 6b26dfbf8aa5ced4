//! Live events over real sockets: every rule of the wire, replay, polling, browsers' ways in, the end of a server.
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
