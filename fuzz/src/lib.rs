//! Fuzz targets: what hostile bytes reach first, each checked against a reference of its own.
//!
//! A target is a function of bytes that panics where something is wrong. `docs/FUZZING.md` says how they are run.

pub mod memory;
pub mod pieces;
pub mod reference;
pub mod targets;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    /// Tries one input.
    ///
    /// # Panics
    /// Where something is wrong.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "request_head", run: targets::request_head::run },
    Target { name: "chunked_body", run: targets::chunked_body::run },
    Target { name: "server_connection", run: targets::server_connection::run },
    Target { name: "upstream_answers", run: targets::upstream_answers::run },
    Target { name: "json", run: targets::json::run },
    Target { name: "chat_request", run: targets::chat_request::run },
    Target { name: "sse", run: targets::sse::run },
    Target { name: "chunk", run: targets::chunk::run },
    Target { name: "configuration", run: targets::configuration::run },
    Target { name: "cursor", run: targets::cursor::run },
];
