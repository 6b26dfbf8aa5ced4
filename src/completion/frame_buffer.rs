//! Frames on their way to the client: those that are ready go out as one piece.

use bytes::{Bytes, BytesMut};

/// A batch is sent when it has reached this size, bytes; a single frame may be larger.
pub(super) const BATCH: usize = 16 * 1024;

/// Capacity that is reserved for a second frame, bytes: often more follow, and small buffers stay in the processor's
/// cache.
const MIN_CAPACITY: usize = 2 * 1024;

/// Collects frames. A frame that goes out alone, as most do, is a slice of the input and not copied.
#[derive(Default)]
pub(super) struct FrameBuffer {
    /// The first frame, as long as it is the only one.
    first: Bytes,
    buffer: BytesMut,
}

impl FrameBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.buffer.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.first.len() + self.buffer.len() >= BATCH
    }

    /// Adds a frame as it came.
    pub(super) fn push(&mut self, frame: Bytes) {
        if self.first.is_empty() && self.buffer.is_empty() {
            self.first = frame;
            return;
        }
        self.reserve(frame.len());
        self.buffer.extend_from_slice(&frame);
    }

    /// The buffer, to write one more frame into.
    pub(super) fn write(&mut self) -> &mut BytesMut {
        if !self.is_empty() {
            self.reserve(MIN_CAPACITY / 2);
        }
        &mut self.buffer
    }

    /// Takes all frames, as one piece. No capacity is kept, so that a silent stream holds no buffer; the allocator
    /// reuses recently freed memory.
    pub(super) fn take(&mut self) -> Bytes {
        if self.buffer.is_empty() { std::mem::take(&mut self.first) } else { std::mem::take(&mut self.buffer).freeze() }
    }

    /// Reserves capacity for one more frame of this length, and moves the first one in.
    fn reserve(&mut self, length: usize) {
        let first = std::mem::take(&mut self.first);
        let length = first.len() + length;
        if self.buffer.capacity() - self.buffer.len() < length {
            self.buffer.reserve(length.max(MIN_CAPACITY));
        }
        self.buffer.extend_from_slice(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_a_lone_frame_is_not_copied() {
        let frame = Bytes::from_static(b"one");
        let mut frames = FrameBuffer::default();
        frames.push(frame.clone());
        assert_eq!(frames.take().as_ptr(), frame.as_ptr());
        frames.push(frame.clone());
        frames.write().extend_from_slice(b"two");
        frames.push(Bytes::from_static(b"three"));
        assert_eq!(&frames.take()[..], b"onetwothree");
        assert!(frames.is_empty());
    }

    #[test]
    fn one_written_frame_fills_its_buffer_and_a_second_one_reserves_capacity() {
        let mut frames = FrameBuffer::default();
        crate::wire::sse::push_frame(frames.write(), b"one");
        assert_eq!(frames.buffer.capacity(), frames.buffer.len());
        crate::wire::sse::push_frame(frames.write(), b"two");
        assert!(frames.buffer.capacity() >= MIN_CAPACITY);
        assert_eq!(&frames.take()[..], b"data: one\n\ndata: two\n\n");
        assert_eq!(frames.buffer.capacity(), 0);
    }
}
