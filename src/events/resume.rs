//! The start of a subscription, and the reasons for which it can't continue from a cursor.

use crate::wire::event::Cursor;

/// The place from which a client wants to receive events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the next event.
    Now,
    /// From the oldest event that is kept.
    Earliest,
    /// From the event after this cursor.
    After(Cursor),
    /// A cursor that could not be parsed.
    Unreadable,
}

/// The place from which a subscription receives events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first event is the one after this cursor.
    pub from: Cursor,
    /// The number of the last event of the log.
    pub head: u64,
    /// Whether it continues from the cursor of the client.
    pub resumed: bool,
    /// Why it can't continue from the cursor of the client, if that had one.
    pub reset: Option<Reset>,
}

/// A break in the stream: events may have been missed, so the client has to read the resources again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Why.
    pub reason: ResetReason,
    /// The number of the oldest event that is kept, or of the next one if none is.
    pub oldest: u64,
    /// The stream continues after this cursor.
    pub cursor: Cursor,
}

/// Why a stream can't continue from a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The cursor could not be parsed.
    Unknown,
    /// The cursor belongs to another log, or to this log before a restore.
    OtherEpoch,
    /// Events after the cursor were deleted.
    TooOld,
    /// The cursor is after the last event.
    BeyondHead,
}

impl ResetReason {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-cursor",
            Self::OtherEpoch => "other-epoch",
            Self::TooOld => "too-old",
            Self::BeyondHead => "beyond-head",
        }
    }
}
