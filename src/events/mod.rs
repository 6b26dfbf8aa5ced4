//! Live events: from the event log in the database to all subscribers.
//!
//! One task ([`EventHub::run`]) reads the log as it grows, encodes each event once, and puts it into a ring in memory
//! that all subscribers share. A [`Subscription`] is a cursor that reads: it has no task and no queue, and nothing
//! grows with the events that it has not read. It reads from the ring, or from the log if it is behind the ring. The
//! ring holds a contiguous part of the log up to its head, so the change between the two makes no gap and no
//! repetition, and a slow subscriber loses nothing until the log itself is pruned; then it gets a [`Reset`].
//!
//! Ephemeral events have no id, are not logged and never replayed. Each subscriber of them sees the newest only
//! ([`EventHub::send_ephemeral`]).
//!
//! A commit notification wakes the task to read the log. Without one, the log is read once a second; this finds the
//! commits of other processes.

mod ephemeral;
mod hub;
mod hub_state;
mod notifiers;
mod resume;
mod retention;
mod ring;
mod subscription;

pub use hub::{EventHub, SubscribeError};
pub use resume::{Reset, ResetReason, Since, Start};
pub use retention::{Retention, retain};
pub use subscription::{Subscription, SubscriptionEvent};

#[cfg(test)]
mod tests;
