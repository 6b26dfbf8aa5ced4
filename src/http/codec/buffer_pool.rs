//! A pool of read buffers for each thread.
//!
//! An idle connection holds no buffer, so it takes one for each piece that it receives. The pool returns the buffer
//! that was used last, which is still in the processor's cache; an allocator often returns memory that is not.

use std::cell::RefCell;

use bytes::BytesMut;

/// Size of a buffer, bytes.
pub(crate) const BUFFER_SIZE: usize = 8 * 1024;
/// A buffer with less free space than this is enlarged before it is read into, bytes.
const MIN_FREE: usize = 2 * 1024;
/// Most buffers in the pool of a thread.
const MAX_POOLED: usize = 16;
/// Larger buffers are not pooled: they grew for a single long message. Bytes.
pub(crate) const MAX_BUFFER_SIZE: usize = 2 * BUFFER_SIZE;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Makes sure that `buffer` has free space to read into, behind what it holds.
pub(crate) fn reserve(buffer: &mut BytesMut) {
    if buffer.capacity() - buffer.len() >= MIN_FREE {
        return;
    }
    if buffer.is_empty() {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        *buffer = pooled.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_SIZE));
    } else {
        buffer.reserve(BUFFER_SIZE);
    }
}

/// Puts `buffer` back into the pool if it holds nothing, because the connection may be silent for long.
pub(crate) fn release(buffer: &mut BytesMut) {
    if !buffer.is_empty() || buffer.capacity() == 0 {
        return;
    }
    let mut released = std::mem::take(buffer);
    // Not while a piece of it is still in use.
    if released.try_reclaim(BUFFER_SIZE) && released.capacity() <= MAX_BUFFER_SIZE {
        // Without a pool, because the thread ends, it is freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_POOLED {
                pool.push(released);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled() -> usize {
        POOL.with_borrow(Vec::len)
    }

    #[test]
    fn the_buffer_that_was_used_last_is_used_next_unless_a_piece_of_it_is_in_use() {
        let mut buffer = BytesMut::new();
        reserve(&mut buffer);
        let first = buffer.as_ptr();
        buffer.extend_from_slice(b"abc");
        release(&mut buffer);
        assert_eq!((&buffer[..], pooled()), (&b"abc"[..], 0));
        let piece = buffer.split_to(3).freeze();
        release(&mut buffer);
        assert_eq!((buffer.capacity(), pooled()), (0, 0));
        drop(piece);

        reserve(&mut buffer);
        let second = buffer.as_ptr();
        buffer.extend_from_slice(b"abc");
        drop(buffer.split());
        release(&mut buffer);
        assert_eq!(pooled(), 1);
        reserve(&mut buffer);
        assert!(buffer.as_ptr() == second && buffer.capacity() >= BUFFER_SIZE && pooled() == 0, "{first:?}");
    }

    #[test]
    fn the_pool_is_bounded_and_takes_no_large_buffers() {
        for _ in 0..2 * MAX_POOLED {
            release(&mut BytesMut::with_capacity(BUFFER_SIZE));
        }
        assert_eq!(pooled(), MAX_POOLED);
        POOL.with_borrow_mut(Vec::clear);
        release(&mut BytesMut::with_capacity(MAX_BUFFER_SIZE + 1));
        assert_eq!(pooled(), 0);
    }

    #[test]
    fn free_space_is_reserved_behind_the_contents_of_a_buffer() {
        let mut buffer = BytesMut::from(&[b'x'; 100][..]);
        reserve(&mut buffer);
        assert!(buffer.len() == 100 && buffer.capacity() - buffer.len() >= MIN_FREE);
    }
}
