//! The newest events, encoded, for everybody.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Reason, Reset, Since, Start};
use crate::store::event_log::LogPosition;
use crate::wire::event::{Cursor, Epoch, Topics};
use crate::wire::event_frame::Encoded;

/// Most events that it holds.
const MAX_EVENTS: usize = 4096;
/// Most bytes of them; the newest event stays whatever its size.
const MAX_BYTES: usize = 16 << 20;
/// Bytes after which a reader gets what it has so far.
const MAX_AT_ONCE: usize = 32 << 10;

/// An unbroken piece of the log up to its head.
pub(super) struct Ring {
    /// A new allocation for every restart, so that readers of before can tell.
    epoch: Arc<Epoch>,
    /// The number before the first event here.
    base: u64,
    events: VecDeque<Arc<Encoded>>,
    bytes: usize,
    /// The last number that the log has forgotten, as far as known here.
    pruned: u64,
}

/// What a reader finds.
pub(super) enum Read {
    /// The next events of its topics, perhaps none; everything up to `to` has been looked through.
    Events { events: Vec<Arc<Encoded>>, to: u64 },
    /// It has read everything.
    UpToDate,
    /// Its next event is only in the log.
    Behind,
    /// The log is another one now, of this epoch.
    Restarted(Arc<Epoch>, Reset),
}

impl Ring {
    /// An empty ring, whose first event will be the one after `base`.
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

    /// Takes in `events`, read after its head when the log stood at `at`; whether anything is new.
    pub(super) fn follow(&mut self, at: &LogPosition, events: Vec<Arc<Encoded>>) -> bool {
        let before = self.head();
        self.pruned = at.pruned;
        if at.epoch != *self.epoch || at.head < before {
            *self = Self::new(at.epoch.clone(), at.head, at.pruned);
            return true;
        }
        if at.pruned > before {
            // The log has forgotten events that were never seen here: nobody can be told of them.
            *self = Self { epoch: Arc::clone(&self.epoch), ..Self::new(at.epoch.clone(), at.pruned, at.pruned) };
        }
        events.into_iter().for_each(|event| self.push(event));
        self.head() != before
    }

    fn push(&mut self, event: Arc<Encoded>) {
        self.bytes += event.len();
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.len();
            self.base = oldest.seq;
        }
    }

    /// Where a subscription begins, if that can be told without the log.
    pub(super) fn accept(&self, since: &Since) -> Option<(Start, Arc<Epoch>)> {
        let here = |cursor: &Cursor| cursor.epoch == *self.epoch && (self.base..=self.head()).contains(&cursor.seq);
        let start = match since {
            Since::Now => self.start(self.head(), false),
            Since::After(cursor) if here(cursor) => self.start(cursor.seq, true),
            _ => return None,
        };
        Some((start, self.epoch()))
    }

    /// Where a subscription begins, when this is all that there is to know.
    pub(super) fn judge(&self, since: &Since) -> (Start, Arc<Epoch>) {
        let reason = match since {
            Since::Now => None,
            Since::Unreadable => Some(Reason::Unknown),
            Since::Earliest => return (self.start(self.pruned, true), self.epoch()),
            Since::After(cursor) if cursor.epoch != *self.epoch => Some(Reason::OtherEpoch),
            Since::After(cursor) if cursor.seq > self.head() => Some(Reason::BeyondHead),
            Since::After(cursor) if cursor.seq < self.pruned.min(self.base) => Some(Reason::TooOld),
            Since::After(cursor) => return (self.start(cursor.seq, true), self.epoch()),
        };
        let reset = reason.map(|reason| self.reset(reason));
        (Start { reset, ..self.start(self.head(), false) }, self.epoch())
    }

    fn start(&self, from: u64, resumed: bool) -> Start {
        Start { from: self.cursor(from), head: self.head(), resumed, reset: None }
    }

    fn reset(&self, reason: Reason) -> Reset {
        Reset { reason, oldest: self.pruned + 1, cursor: self.cursor(self.head()) }
    }

    /// The next events of `topics` for a reader of `epoch` that has seen everything up to `after`: at most `most`, fewer
    /// when they are long.
    pub(super) fn read(&self, epoch: &Arc<Epoch>, after: u64, topics: Topics, most: usize) -> Read {
        if !Arc::ptr_eq(epoch, &self.epoch) {
            return Read::Restarted(self.epoch(), self.reset(Reason::OtherEpoch));
        }
        // The log is read without waiting for the ring, so a reader of the log may be ahead.
        if after >= self.head() {
            return Read::UpToDate;
        }
        let Some(skip) = after.checked_sub(self.base) else { return Read::Behind };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let (mut events, mut bytes, mut to) = (Vec::new(), 0, after);
        for event in self.events.range(skip..) {
            if events.len() == most || bytes >= MAX_AT_ONCE {
                break;
            }
            to = event.seq;
            if topics.contains(event.topic) {
                bytes += event.len();
                events.push(Arc::clone(event));
            }
        }
        Read::Events { events, to }
    }
}
