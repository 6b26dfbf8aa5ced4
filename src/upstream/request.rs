//! A request on its way: in one piece, unless its body is long.

use bytes::{Bytes, BytesMut};

use super::target::{Ask, Target};
use crate::http1::room;

/// Bodies up to this are copied behind their head: one write of one buffer costs less than one of two.
const COPIED: usize = 4 * 1024;

/// What is sent: both, one after the other. It is made when it can be sent at once, and what it is written in is used again.
pub(super) struct Request {
    /// The head, and a body that is short.
    pub(super) begin: BytesMut,
    /// A body that is not.
    pub(super) rest: Bytes,
}

impl Request {
    pub(super) fn of(target: &Target, ask: &Ask<'_>) -> Self {
        let mut begin = BytesMut::new();
        room::make(&mut begin);
        target.write_head(ask, &mut begin);
        if ask.body.len() > COPIED {
            return Self { begin, rest: Bytes::clone(&ask.body) };
        }
        begin.extend_from_slice(&ask.body);
        Self { begin, rest: Bytes::new() }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.begin.clear();
        room::give_up(&mut self.begin);
    }
}
