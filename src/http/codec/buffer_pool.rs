//! Room for what is received: buffers that were just used, kept for whoever receives next on the same thread.
//!
//! A connection that waits holds no buffer, so each of its pieces needs one for a moment. An allocator hands out the memory
//! that was not used for longest; what was used last is still in the processor's cache.

use std::cell::RefCell;

use bytes::BytesMut;

/// How much is received at once, bytes.
pub(crate) const ROOM: usize = 8 * 1024;
/// With less room than this left in a buffer, more is made.
pub(crate) const MIN_ROOM: usize = 2 * 1024;
/// Most buffers that are kept for one thread.
const MAX_SPARE: usize = 16;
/// Larger buffers than this are not kept: they grew for a single long message.
pub(crate) const MAX_ROOM: usize = 2 * ROOM;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Makes sure that more can be received behind what `inbox` has.
pub(crate) fn make(inbox: &mut BytesMut) {
    if inbox.capacity() - inbox.len() >= MIN_ROOM {
        return;
    }
    if inbox.is_empty() {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        *inbox = spare.unwrap_or_else(|| BytesMut::with_capacity(ROOM));
    } else {
        inbox.reserve(ROOM);
    }
}

/// Gives up what room there is in `inbox`, if nothing has been received: nobody knows for how long.
pub(crate) fn give_up(inbox: &mut BytesMut) {
    if !inbox.is_empty() || inbox.capacity() == 0 {
        return;
    }
    let mut buffer = std::mem::take(inbox);
    // Pieces of it may still be in use.
    if buffer.try_reclaim(ROOM) && buffer.capacity() <= MAX_ROOM {
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MAX_SPARE {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spares() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn the_buffer_that_was_used_last_is_used_next_unless_a_piece_of_it_is_still_in_use() {
        let mut inbox = BytesMut::new();
        make(&mut inbox);
        let first = inbox.as_ptr();
        inbox.extend_from_slice(b"abc");
        give_up(&mut inbox);
        assert_eq!((&inbox[..], spares()), (&b"abc"[..], 0));
        let piece = inbox.split_to(3).freeze();
        give_up(&mut inbox);
        assert_eq!((inbox.capacity(), spares()), (0, 0));
        drop(piece);

        make(&mut inbox);
        let second = inbox.as_ptr();
        inbox.extend_from_slice(b"abc");
        drop(inbox.split());
        give_up(&mut inbox);
        assert_eq!(spares(), 1);
        make(&mut inbox);
        assert!(inbox.as_ptr() == second && inbox.capacity() >= ROOM && spares() == 0, "{first:?}");
    }

    #[test]
    fn not_many_are_kept_and_no_large_ones() {
        for _ in 0..2 * MAX_SPARE {
            give_up(&mut BytesMut::with_capacity(ROOM));
        }
        assert_eq!(spares(), MAX_SPARE);
        SPARE.with_borrow_mut(Vec::clear);
        give_up(&mut BytesMut::with_capacity(MAX_ROOM + 1));
        assert_eq!(spares(), 0);
    }

    #[test]
    fn more_room_is_made_behind_what_is_there() {
        let mut inbox = BytesMut::from(&[b'x'; 100][..]);
        make(&mut inbox);
        assert!(inbox.len() == 100 && inbox.capacity() - inbox.len() >= MIN_ROOM);
    }
}
