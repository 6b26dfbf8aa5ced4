//! What answers of upstreams take while they are collected, and while their clients read them.
//!
//! Only buffers above [`COUNTED`] are counted: small frames, which are nearly all, cost a comparison. What is below is
//! bounded by the number of connections.

use bytes::Bytes;

use crate::bound::Grant;
use crate::upstream::Failure;

/// Buffers up to this are not counted, bytes.
const COUNTED: usize = 64 * 1024;

/// One answer's part of the memory for answers.
pub(super) struct Memory(Grant);

/// Bytes that are counted until the last reference to them is dropped, wherever that is: in a socket's buffer, mostly.
struct Kept {
    bytes: Bytes,
    _grant: Grant,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// Counted against the owner of `grant`.
    pub(super) const fn new(grant: Grant) -> Self {
        Self(grant)
    }

    /// Counts so many bytes that are collected.
    ///
    /// # Errors
    /// [`Failure::NoMemory`] when there is no room for them, in all or for the key.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes <= COUNTED && self.0.amount() == 0 {
            return Ok(());
        }
        let counted = if bytes > COUNTED { bytes as u64 } else { 0 };
        self.0.resize(counted).map_err(Failure::NoMemory)
    }

    /// Hands what was collected on, counted for as long as it is somewhere.
    pub(super) fn keep(&mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= COUNTED {
            return bytes;
        }
        let mut grant = self.0.take_all();
        // The buffer that it was collected in took no less, a few bytes of framing aside.
        let _ = grant.resize(bytes.len() as u64);
        Bytes::from_owner(Kept { bytes, _grant: grant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::{Bound, Exceeded};

    #[test]
    fn what_is_handed_on_is_counted_until_the_last_of_it_is_dropped() {
        let bound = Bound::new(1 << 20, 1 << 19);
        let mut memory = Memory::new(bound.empty_grant(&"key".into()));
        memory.hold(COUNTED).unwrap();
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
