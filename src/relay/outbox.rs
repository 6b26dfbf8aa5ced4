//! Frames on their way to the client: what is ready goes out in one piece.

use bytes::{Bytes, BytesMut};

/// A batch is given away at this size; a single frame may be larger.
pub(super) const BATCH: usize = 16 * 1024;

/// Collects frames. A frame that goes out alone, as most do, is the slice of the input that it was, uncopied.
#[derive(Default)]
pub(super) struct Outbox {
    /// A frame that came first and alone: most batches are one frame.
    run: Bytes,
    buffer: BytesMut,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.run.is_empty() && self.buffer.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.run.len() + self.buffer.len() >= BATCH
    }

    /// A frame as it stood in `input`.
    pub(super) fn pass(&mut self, frame: Bytes) {
        if self.run.is_empty() && self.buffer.is_empty() {
            self.run = frame;
            return;
        }
        self.spill();
        // At once, and not by doubling: a second frame is seldom the last.
        if self.buffer.capacity() - self.buffer.len() < frame.len() {
            self.buffer.reserve(frame.len().max(BATCH));
        }
        self.buffer.extend_from_slice(&frame);
    }

    /// The buffer, to write a frame into.
    pub(super) fn write(&mut self) -> &mut BytesMut {
        self.spill();
        &mut self.buffer
    }

    /// Everything, as one piece.
    pub(super) fn take(&mut self) -> Bytes {
        if self.buffer.is_empty() {
            return std::mem::take(&mut self.run);
        }
        // A frame that was written alone has filled its buffer; what is left of another is for the next frames.
        let full = self.buffer.len() == self.buffer.capacity();
        let all = if full { std::mem::take(&mut self.buffer) } else { self.buffer.split() };
        all.freeze()
    }

    fn spill(&mut self) {
        if !self.run.is_empty() {
            self.buffer.extend_from_slice(&std::mem::take(&mut self.run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_a_lone_frame_is_not_copied() {
        let frame = Bytes::from_static(b"one");
        let mut outbox = Outbox::default();
        outbox.pass(frame.clone());
        assert_eq!(outbox.take().as_ptr(), frame.as_ptr());
        outbox.pass(frame.clone());
        outbox.write().extend_from_slice(b"two");
        outbox.pass(Bytes::from_static(b"three"));
        assert_eq!(&outbox.take()[..], b"onetwothree");
        assert!(outbox.is_empty());
    }
}
