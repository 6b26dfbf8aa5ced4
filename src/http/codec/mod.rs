//! Shared by both sides of an HTTP/1.1 connection: the rules for heads, the framing of bodies, and the read buffers.
//! No I/O.

pub(crate) mod buffer_pool;
mod framing;
mod head;

pub(crate) use framing::{BodyDecoder, ChunkedDecoder, Decoded};
pub(crate) use head::{FramingHeaders, HeadError, TransferCoding, decimal, has_token, head_length, write_header};
