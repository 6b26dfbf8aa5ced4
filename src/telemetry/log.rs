//! The log on stderr.
//!
//! `writer` collects lines and writes them on a thread of its own, through `stderr_sink`; `line_buffer` and `json` make
//! lines of JSON of events; `request_line` is the line of a request. Depends on `tracing` and on
//! [`record`](super::record).

mod json;
mod line_buffer;
mod lost_lines;
mod request_line;
mod request_log;
mod stderr_sink;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use json::JsonLines;
pub(super) use lost_lines::{lost_as_json, lost_as_text};
pub use request_line::RequestLine;
pub use writer::Flush;
pub(super) use writer::LogWriter;
