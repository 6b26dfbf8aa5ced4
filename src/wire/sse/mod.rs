//! Server-Sent Events: a decoder for what upstreams send, and an encoder for chat streams.
//!
//! Source: WHATWG HTML, section 9.2.6 ("Interpreting an event stream"):
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.

mod decoder;
mod encoder;
mod headers;

pub use decoder::{Decoder, Event, TooLong};
pub(crate) use encoder::push_frame_parts;
pub use encoder::{DONE, KEEP_ALIVE, push_frame};
pub use headers::{EVENT_STREAM, EVENT_STREAM_UTF8, set_stream_headers};
