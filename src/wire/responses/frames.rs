//! Writes the events of one stream, numbered.

use bytes::BytesMut;

use crate::wire::sse::DONE;
use crate::wire::translation::push_event;

/// The number of the next event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    next: u64,
}

impl Events {
    pub(super) const fn starting_at(next: u64) -> Self {
        Self { next }
    }

    /// Appends an event. `members` are those behind its type and its number, in JSON, each with a comma before it.
    pub(super) fn push(&mut self, out: &mut BytesMut, kind: &str, members: &[&str]) {
        let mut digits = itoa::Buffer::new();
        let number = digits.format(self.next);
        self.next += 1;
        // The longest event has six parts.
        let mut data = ["{\"type\":\"", kind, "\",\"sequence_number\":", number, "", "", "", "", "", "", "", "}"];
        debug_assert!(members.len() <= 7, "an event has more parts than there are places");
        for (place, member) in data[4..11].iter_mut().zip(members) {
            *place = member;
        }
        push_event(out, kind, &data);
    }
}

/// Appends the end of every stream.
pub(super) fn push_done(out: &mut BytesMut) {
    out.extend_from_slice(DONE);
}
