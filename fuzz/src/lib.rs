//! Fuzz targets for the code that parses untrusted bytes. Each compares its result with a reference implementation and
//! panics when they differ. `docs/FUZZING.md` describes how to run them.

pub mod memory;
pub mod pieces;
pub mod reference;
pub mod targets;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// The target's name; its corpus has the same.
    pub name: &'static str,
    /// Checks one input.
    ///
    /// # Panics
    /// When a check fails.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "request_head", run: targets::request_head::run },
    Target { name: "chunked_body", run: targets::chunked_body::run },
    Target { name: "server_connection", run: targets::server_connection::run },
    Target { name: "upstream_answers", run: targets::upstream_answers::run },
    Target { name: "json", run: targets::json::run },
    Target { name: "chat_request", run: targets::chat_request::run },
    Target { name: "sse", run: targets::sse::run },
    Target { name: "translated_requests", run: targets::translated_requests::run },
    Target { name: "translated_streams", run: targets::translated_streams::run },
    Target { name: "chunk", run: targets::chunk::run },
    Target { name: "configuration", run: targets::configuration::run },
    Target { name: "cursor", run: targets::cursor::run },
];
