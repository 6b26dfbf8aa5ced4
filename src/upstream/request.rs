//! A request on its way: in one piece, unless its body is long.

use bytes::{Bytes, BytesMut};

use super::target::{Ask, Target};
use crate::http::codec::buffer_pool;
use crate::wire::request::Forwarded;

/// Bodies up to this are copied behind their head: one write of one buffer costs less than one of two.
const COPY_THRESHOLD: usize = 4 * 1024;

/// What is sent: all of it, one after the other. It is made when it can be sent at once, and what it is written in is used
/// again.
pub(super) struct Request {
    /// The head, and a body that is short.
    pub(super) begin: BytesMut,
    /// A body that is not, or its first piece.
    pub(super) rest: Bytes,
    /// Its further pieces, the last one first.
    pub(super) more: Vec<Bytes>,
}

impl Request {
    pub(super) fn of(target: &Target, ask: &Ask<'_>) -> Self {
        let mut begin = BytesMut::new();
        buffer_pool::make(&mut begin);
        target.write_head(ask, &mut begin);
        let (mut rest, mut more) = (Bytes::new(), Vec::new());
        match &ask.body {
            Forwarded::Whole(body) if body.len() > COPY_THRESHOLD => rest = Bytes::clone(body),
            Forwarded::Whole(body) => begin.extend_from_slice(body),
            Forwarded::Pieces(pieces) => {
                more.extend(pieces.iter().rev().cloned());
                rest = more.pop().unwrap_or_default();
            }
        }
        Self { begin, rest, more }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.begin.clear();
        buffer_pool::give_up(&mut self.begin);
    }
}
