//! The parsers of this module for `fuzz/`, which are private otherwise.

use bytes::BytesMut;
use http::{Method, Uri};

use super::read_buffer::ReadBuffer;
use crate::http::codec::{BodyDecoder, ChunkedDecoder, Decoded};

/// A request head that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct HeadRead {
    /// The method.
    pub method: Method,
    /// The request target.
    pub target: Uri,
    /// Names and values, in the order of the header map.
    pub fields: Vec<(String, Vec<u8>)>,
    /// HTTP/1.1, not 1.0.
    pub is_http_11: bool,
    /// Length of the body; none: it is chunked.
    pub length: Option<u64>,
    /// The connection may be used for another request.
    pub keep_alive: bool,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Bytes of the input behind the head.
    pub left: usize,
}

/// Reads a request head of at most `max` bytes that arrives in these pieces, as a connection does. None: it is incomplete.
///
/// # Errors
/// The status with which the request is refused.
pub fn read_head(pieces: &[&[u8]], max: usize) -> Result<Option<HeadRead>, u16> {
    let mut left: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut buffer = ReadBuffer::default();
    for piece in pieces {
        left -= piece.len();
        buffer.buffer().extend_from_slice(piece);
        let Some(head) = buffer.take_head(max).map_err(|status| status.as_u16())? else { continue };
        let request = head.request;
        let fields =
            request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        return Ok(Some(HeadRead {
            method: request.method().clone(),
            target: request.uri().clone(),
            fields: fields.collect(),
            is_http_11: head.context.is_http_11,
            length: if let BodyDecoder::Length(length) = head.decoder { Some(length) } else { None },
            keep_alive: head.keep_alive,
            expects_continue: head.expects_continue,
            left: left + buffer.buffer().len(),
        }));
    }
    Ok(None)
}

/// How the reading of a chunked body ended.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunksEnd {
    /// The framing is invalid.
    Broken,
    /// More bytes are needed.
    More,
    /// At the end of the body, with this many bytes of the input behind it.
    Ended(usize),
}

/// Reads a chunked body that arrives in these pieces.
#[must_use]
pub fn read_chunks(pieces: &[&[u8]]) -> (Vec<u8>, ChunksEnd) {
    let mut left: usize = pieces.iter().map(|piece| piece.len()).sum();
    let (mut decoder, mut buffer, mut body) = (BodyDecoder::Chunked(ChunkedDecoder::Size), BytesMut::new(), Vec::new());
    for piece in pieces {
        left -= piece.len();
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Decoded::Data(data)) => body.extend_from_slice(&data),
                Ok(Decoded::More) => break,
                Ok(Decoded::End) => return (body, ChunksEnd::Ended(left + buffer.len())),
                Err(_broken) => return (body, ChunksEnd::Broken),
            }
        }
    }
    (body, ChunksEnd::More)
}
