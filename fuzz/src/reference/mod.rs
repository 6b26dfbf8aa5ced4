//! Slow, obvious readers of the same formats, written from the specifications.

pub mod chunked;
pub mod event_stream;
pub mod json;
pub mod request_head;
