//! Pure data and codecs, no I/O.

pub mod api_key;
pub mod byte_order_mark;
pub mod chat;
pub mod chunk;
pub mod envelope;
pub mod etag;
pub mod event;
pub mod event_frame;
mod frame_template;
pub mod go_duration;
pub mod members;
pub mod quirks;
pub mod request;
pub mod resource;
pub mod scan;
pub mod sse;
pub mod tokens;
