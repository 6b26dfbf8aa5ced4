//! Reference implementations of the parsers: simple and slow, written from the specifications.

pub mod chunked;
pub mod event_stream;
pub mod json;
pub mod request_head;
