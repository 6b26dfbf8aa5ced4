//! Frames on their way to the client: what is ready goes out in one piece.

use bytes::{Bytes, BytesMut};

/// A batch is given away at this size; a single frame may be larger.
pub(super) const BATCH: usize = 16 * 1024;

/// Room for a few frames, bytes: a second one is seldom the last, and of small buffers few are out of the cache.
const SOME: usize = 2 * 1024;

/// Collects frames. A frame that goes out alone, as most do, is the slice of the input that it was, uncopied.
#[derive(Default)]
pub(super) struct FrameBuffer {
    /// A frame that came first and alone: most batches are one frame.
    run: Bytes,
    buffer: BytesMut,
}

impl FrameBuffer {
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
        self.make_room(frame.len());
        self.buffer.extend_from_slice(&frame);
    }

    /// The buffer, to write a frame into.
    pub(super) fn write(&mut self) -> &mut BytesMut {
        if !self.is_empty() {
            self.make_room(SOME / 2);
        }
        &mut self.buffer
    }

    /// Everything, as one piece. No room is kept for what comes next: nobody knows when it does, and a new buffer is one
    /// that was just used.
    pub(super) fn take(&mut self) -> Bytes {
        if self.buffer.is_empty() { std::mem::take(&mut self.run) } else { std::mem::take(&mut self.buffer).freeze() }
    }

    /// Makes room for one more frame of this length.
    fn make_room(&mut self, length: usize) {
        let run = std::mem::take(&mut self.run);
        let length = run.len() + length;
        if self.buffer.capacity() - self.buffer.len() < length {
            self.buffer.reserve(length.max(SOME));
        }
        self.buffer.extend_from_slice(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_a_lone_frame_is_not_copied() {
        let frame = Bytes::from_static(b"one");
        let mut outbox = FrameBuffer::default();
        outbox.pass(frame.clone());
        assert_eq!(outbox.take().as_ptr(), frame.as_ptr());
        outbox.pass(frame.clone());
        outbox.write().extend_from_slice(b"two");
        outbox.pass(Bytes::from_static(b"three"));
        assert_eq!(&outbox.take()[..], b"onetwothree");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_frame_that_is_written_alone_fills_its_buffer_and_a_second_one_finds_room_for_more() {
        let mut outbox = FrameBuffer::default();
        crate::wire::sse::push_frame(outbox.write(), b"one");
        assert_eq!(outbox.buffer.capacity(), outbox.buffer.len());
        crate::wire::sse::push_frame(outbox.write(), b"two");
        assert!(outbox.buffer.capacity() >= SOME);
        assert_eq!(&outbox.take()[..], b"data: one\n\ndata: two\n\n");
        assert_eq!(outbox.buffer.capacity(), 0);
    }
}
