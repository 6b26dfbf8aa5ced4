//! What both sides of an HTTP/1.1 connection share: the framing of bodies, and the buffers that bytes are read into.

pub(crate) mod buffer_pool;
mod framing;

pub(crate) use framing::{BodyDecoder, ChunkedDecoder, Decoded};
