//! Live events over real sockets: every rule of the wire, replay, polling, browsers' ways in, the end of a server.
#![cfg(test)]

mod command_line;
mod doors;
mod overload;
mod polling;
mod replay;
mod shop;
mod shutdown;
mod source;
mod stats;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the binary that needs all of it")]
mod support;
mod wire;
