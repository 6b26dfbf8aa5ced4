//! The newest events in memory, encoded once for all subscribers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::resume::{Reset, ResetReason, Since, Start};
use crate::store::event_log::LogPosition;
use crate::wire::event::{Cursor, Epoch, Topics};
use crate::wire::event_frame::EncodedEvent;

/// Most events in the ring.
const MAX_EVENTS: usize = 4096;
/// Most bytes of these events; the newest one stays, whatever its size.
const MAX_BYTES: usize = 16 << 20;
/// Bytes of events after which one read ends, of the ring or of the log.
pub(super) const MAX_READ_BYTES: usize = 32 << 10;

/// A contiguous part of the log up to its head.
pub(super) struct Ring {
    /// A new allocation whenever the log was replaced, so that a reader recognizes it by the pointer.
    epoch: Arc<Epoch>,
    /// The number before the first event of the ring.
    base: u64,
    events: VecDeque<Arc<EncodedEvent>>,
    bytes: usize,
    /// The number of the last event deleted from the log, as far as is known.
    pruned: u64,
}

/// The result of a read.
pub(super) enum RingRead {
    /// The next events of the topics, possibly none; all events up to `to` were searched.
    Events { events: Vec<Arc<EncodedEvent>>, to: u64 },
    /// The reader has read all events.
    UpToDate,
    /// The next event is no longer in the ring; it may be in the log.
    Behind,
    /// The log was replaced by one of this epoch.
    Replaced(Arc<Epoch>, Reset),
}

impl Ring {
    /// An empty ring. Its first event will be the one after `base`.
    pub(super) fn new(epoch: Epoch, base: u64, pruned: u64) -> Self {
        Self { epoch: Arc::new(epoch), base, events: VecDeque::new(), bytes: 0, pruned }
    }

    pub(super) fn epoch(&self) -> Arc<Epoch> {
        Arc::clone(&self.epoch)
    }

    pub(super) fn head(&self) -> u64 {
        self.base + self.events.len() as u64
    }

    fn cursor(&self, seq: u64) -> Cursor {
        Cursor { epoch: self.epoch.as_ref().clone(), seq }
    }

    /// Adds `events`, read from the log after the ring's head when its state was `at`. Returns whether the ring
    /// changed.
    pub(super) fn follow(&mut self, at: &LogPosition, events: Vec<Arc<EncodedEvent>>) -> bool {
        let before = self.head();
        self.pruned = at.pruned;
        if at.epoch != *self.epoch || at.head < before {
            *self = Self::new(at.epoch.clone(), at.head, at.pruned);
            return true;
        }
        if at.pruned > before {
            // Events were deleted from the log before the ring had them.
            *self = Self { epoch: Arc::clone(&self.epoch), ..Self::new(at.epoch.clone(), at.pruned, at.pruned) };
        }
        events.into_iter().for_each(|event| self.push(event));
        self.head() != before
    }

    fn push(&mut self, event: Arc<EncodedEvent>) {
        self.bytes += event.len();
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.len();
            self.base = oldest.seq;
        }
    }

    /// The start of a subscription, if the ring has all events from there on.
    pub(super) fn start_within(&self, since: &Since) -> Option<(Start, Arc<Epoch>)> {
        let in_ring = |cursor: &Cursor| cursor.epoch == *self.epoch && (self.base..=self.head()).contains(&cursor.seq);
        let start = match since {
            Since::Now => self.start(self.head(), false),
            Since::After(cursor) if in_ring(cursor) => self.start(cursor.seq, true),
            _ => return None,
        };
        Some((start, self.epoch()))
    }

    /// The start of a subscription when the ring is up to date, or a reset if the log does not have the events from
    /// there on.
    pub(super) fn start_or_reset(&self, since: &Since) -> (Start, Arc<Epoch>) {
        let reason = match since {
            Since::Now => None,
            Since::Unreadable => Some(ResetReason::Unknown),
            Since::Earliest => return (self.start(self.pruned, true), self.epoch()),
            Since::After(cursor) if cursor.epoch != *self.epoch => Some(ResetReason::OtherEpoch),
            Since::After(cursor) if cursor.seq > self.head() => Some(ResetReason::BeyondHead),
            Since::After(cursor) if cursor.seq < self.pruned.min(self.base) => Some(ResetReason::TooOld),
            Since::After(cursor) => return (self.start(cursor.seq, true), self.epoch()),
        };
        let reset = reason.map(|reason| self.reset(reason));
        (Start { reset, ..self.start(self.head(), false) }, self.epoch())
    }

    fn start(&self, from: u64, resumed: bool) -> Start {
        Start { from: self.cursor(from), head: self.head(), resumed, reset: None }
    }

    fn reset(&self, reason: ResetReason) -> Reset {
        Reset { reason, oldest: self.pruned + 1, cursor: self.cursor(self.head()) }
    }

    /// The next events of `topics` for a reader that has read all events of `epoch` up to `after`: at most `max`, fewer
    /// if they exceed 32 KiB.
    pub(super) fn read(&self, epoch: &Arc<Epoch>, after: u64, topics: Topics, max: usize) -> RingRead {
        if !Arc::ptr_eq(epoch, &self.epoch) {
            // The same name: the log lost its last events, and its next command will begin another epoch.
            let is_shorter = **epoch == *self.epoch;
            let reason = if is_shorter { ResetReason::BeyondHead } else { ResetReason::OtherEpoch };
            return RingRead::Replaced(self.epoch(), self.reset(reason));
        }
        // A reader of the log may be ahead of the ring.
        if after >= self.head() {
            return RingRead::UpToDate;
        }
        let Some(skip) = after.checked_sub(self.base) else { return RingRead::Behind };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let (mut events, mut bytes, mut to) = (Vec::new(), 0, after);
        for event in self.events.range(skip..) {
            if events.len() == max || bytes >= MAX_READ_BYTES {
                break;
            }
            to = event.seq;
            if topics.contains(event.topic) {
                bytes += event.len();
                events.push(Arc::clone(event));
            }
        }
        RingRead::Events { events, to }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::wire::event::{EventKind, LastSeqs};
    use crate::wire::event_frame::EventParts;

    fn epoch() -> Epoch {
        "e".parse().unwrap()
    }

    /// Adds an event with so many bytes of text.
    fn add(ring: &mut Ring, size: usize) {
        let (seq, body) = (ring.head() + 1, format!("\"resource\":\"{}\"", "x".repeat(size)));
        let (kind, at) = (EventKind::PetUpdate, Timestamp::UNIX_EPOCH);
        let parts = EventParts { kind, id: "x", version: 1, at, prev: LastSeqs::default(), body: &body };
        let event = Arc::new(EncodedEvent::new(&epoch(), seq, &parts));
        let position = LogPosition { epoch: epoch(), head: seq, pruned: 0, lasts: LastSeqs::default() };
        assert!(ring.follow(&position, vec![event]));
    }

    #[test]
    fn the_ring_holds_4096_events() {
        let mut ring = Ring::new(epoch(), 0, 0);
        (0..5_000).for_each(|_| add(&mut ring, 0));
        assert_eq!((ring.events.len(), ring.base, ring.head()), (4_096, 904, 5_000));
        assert!(matches!(ring.read(&ring.epoch(), 903, Topics::ALL, 1), RingRead::Behind));
        assert!(matches!(ring.read(&ring.epoch(), 904, Topics::ALL, 1), RingRead::Events { to: 905, .. }));
    }

    #[test]
    fn a_reader_of_a_log_that_lost_events_or_was_replaced_learns_which() {
        let reason = |at: LogPosition| {
            let mut ring = Ring::new(epoch(), 0, 0);
            (0..3).for_each(|_| add(&mut ring, 0));
            let before = ring.epoch();
            assert!(ring.follow(&at, Vec::new()));
            let RingRead::Replaced(_, reset) = ring.read(&before, 3, Topics::ALL, 1) else { panic!("a reset") };
            assert_eq!(reset.cursor, Cursor { epoch: at.epoch, seq: at.head });
            reset.reason
        };
        let shorter = LogPosition { epoch: epoch(), head: 2, pruned: 0, lasts: LastSeqs::default() };
        assert_eq!(reason(shorter.clone()), ResetReason::BeyondHead);
        assert_eq!(reason(LogPosition { epoch: "f".parse().unwrap(), ..shorter }), ResetReason::OtherEpoch);
    }

    #[test]
    fn the_ring_holds_16_mib_or_the_newest_event() {
        let mut ring = Ring::new(epoch(), 0, 0);
        for _ in 0..100 {
            add(&mut ring, 1 << 20);
            assert!(ring.bytes <= 16 << 20, "{}", ring.bytes);
        }
        assert_eq!(ring.events.len(), 15, "with its frame, an event is longer than a mebibyte");
        add(&mut ring, 20 << 20);
        assert_eq!((ring.events.len(), ring.head()), (1, 101));
        add(&mut ring, 0);
        assert_eq!((ring.events.len(), ring.bytes < 1_024), (1, true));
    }

    #[test]
    fn one_read_ends_after_32_kib_and_one_event() {
        let mut ring = Ring::new(epoch(), 0, 0);
        [30_000, 2_000, 40_000, 40_000, 0].into_iter().for_each(|size| add(&mut ring, size));
        let mut read = Vec::new();
        let mut after = 0;
        while let RingRead::Events { events, to } = ring.read(&ring.epoch(), after, Topics::ALL, 64) {
            assert!(events.iter().rev().skip(1).map(|event| event.len()).sum::<usize>() < 32 << 10);
            read.push(events.len());
            after = to;
        }
        assert_eq!(read, [3, 1, 1], "30,000 and 2,000 bytes leave room for one event, whatever its size");
    }
}
