//! Pure data and codecs, no I/O.

pub mod byte_order_mark;
pub mod chat;
pub mod chunk;
pub mod envelope;
pub mod event;
pub mod event_frame;
pub mod go_duration;
pub mod key;
pub mod members;
mod pattern;
pub mod quirks;
pub mod request;
pub mod scan;
pub mod sse;
pub mod tokens;
