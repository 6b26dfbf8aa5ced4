//! The memory that upstreams' answers take, while they are collected and until their clients have read them.
//!
//! Only buffers above [`COUNT_THRESHOLD`] are counted: small frames, which are nearly all, cost a comparison. What is
//! below is bounded by the number of connections.

use bytes::Bytes;

use crate::bound::Grant;
use crate::upstream::Failure;

/// Buffers of up to this size are not counted, bytes.
const COUNT_THRESHOLD: usize = 64 * 1024;

/// One answer's share of the memory for answers.
pub(super) struct Memory(Grant);

/// Bytes that are counted until the last reference to them is dropped, mostly in a socket's buffer.
struct CountedBytes {
    bytes: Bytes,
    _grant: Grant,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// Counted against the owner of `grant`.
    pub(super) const fn new(grant: Grant) -> Self {
        Self(grant)
    }

    /// Sets how many bytes are collected now. [`Failure::NoMemory`] if they exceed the memory of all or of the key.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes <= COUNT_THRESHOLD && self.0.amount() == 0 {
            return Ok(());
        }
        let counted = if bytes > COUNT_THRESHOLD { bytes as u64 } else { 0 };
        self.0.resize(counted).map_err(Failure::NoMemory)
    }

    /// Moves the share to the bytes that were collected: given back when the last reference to them is dropped.
    pub(super) fn keep(&mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= COUNT_THRESHOLD {
            return bytes;
        }
        let mut grant = self.0.take_all();
        // Can't fail: the buffer that they were collected in was no smaller, a few bytes of framing aside.
        let _ = grant.resize(bytes.len() as u64);
        Bytes::from_owner(CountedBytes { bytes, _grant: grant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::{Bound, Exceeded};

    #[test]
    fn bytes_are_counted_until_the_last_reference_is_dropped() {
        let bound = Bound::new(1 << 20, 1 << 19);
        let mut memory = Memory::new(bound.empty_grant(&"key".into()));
        memory.hold(COUNT_THRESHOLD).unwrap();
        assert_eq!(bound.taken(), 0);
        memory.hold(300_000).unwrap();
        let bytes = memory.keep(Bytes::from(vec![b'x'; 200_000]));
        let end = bytes.slice(199_000..);
        drop(bytes);
        assert_eq!((bound.taken(), end.len()), (200_000, 1_000));
        memory.hold(300_000).unwrap();
        let refused = memory.hold(400_000).unwrap_err();
        assert!(matches!(refused, Failure::NoMemory(Exceeded::Share(_))), "{refused}");
        memory.hold(10).unwrap();
        assert_eq!(bound.taken(), 200_000);
        drop(end);
        assert_eq!(bound.taken(), 0);
    }
}
