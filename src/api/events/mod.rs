//! Live events: `GET /api/events`, as a stream or as pages of JSON.
//!
//! `/api/events/{topic}` has one topic; `/api/events` those of the parameter `topics`, by default all, and
//! `/api/events/data` is another name for it. With `after` or `wait` the answer is a page of JSON (`poll`), otherwise
//! a stream of Server-Sent Events (`stream`); both use the same cursors. Streams can also have the topic `stats`,
//! which is ephemeral, with a key of that scope. Browsers exchange a key for a ticket or a cookie (`browser_auth`).

pub(super) mod browser_auth;
mod control_frames;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod poll;
mod query;
pub(super) mod read;
mod service;
mod stream;

pub use service::Events;

/// The path of the streams, to which browsers' cookies are limited.
pub const PATH: &str = "/api/events";
