//! Server-Sent Events as bytes: a decoder that takes what upstreams send, an encoder that sends what
//! every client understands.
//!
//! The decoder follows the WHATWG HTML standard, section 9.2.6 ("Interpreting an event stream"):
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.

mod decoder;
mod encoder;
mod headers;

pub use decoder::{Decoder, Event, TooLong};
pub use encoder::{DONE, KEEP_ALIVE, push_frame, push_frame_parts};
pub use headers::set_stream_headers;
