//! The times of a stream: heartbeats to the client, and its deadlines.

use std::time::Duration;

use tokio::time::Instant;

use crate::time::ResponseDeadline;
use crate::upstream::Deadline;

/// The deadlines and the heartbeat of a stream, which are due although its upstream is silent.
pub(super) struct StreamTimes {
    /// When the whole stream must be over.
    ends_at: Option<Instant>,
    /// The same, for the owner of the socket: it cuts a client that reads nothing.
    deadline: ResponseDeadline,
    heartbeat: Duration,
    last_sent: Instant,
}

impl Drop for StreamTimes {
    fn drop(&mut self) {
        // The connection may carry other responses after this one.
        self.deadline.set(None);
    }
}

/// The timer that is due, or the time of the next.
pub(super) enum NextTimer {
    Heartbeat,
    Timeout(Deadline),
    /// Nothing before then.
    At(Instant),
}

impl StreamTimes {
    pub(super) const fn new(heartbeat: Duration, deadline: ResponseDeadline, now: Instant) -> Self {
        Self { ends_at: None, deadline, heartbeat, last_sent: now }
    }

    /// Sets when the whole stream must be over.
    pub(super) fn set_end(&mut self, ends_at: Option<Instant>) {
        self.ends_at = ends_at;
        self.deadline.set(ends_at);
    }

    /// Bytes went to the client.
    pub(super) const fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// The timer that is due `now`; `silent_until` is the deadline of the upstream's silence.
    pub(super) fn due(&self, now: Instant, silent_until: Option<Instant>) -> NextTimer {
        let mut next = self.last_sent + self.heartbeat;
        for at in [silent_until, self.ends_at].into_iter().flatten() {
            next = next.min(at);
        }
        if next > now {
            return NextTimer::At(next);
        }
        if self.ends_at.is_some_and(|at| at <= now) {
            return NextTimer::Timeout(Deadline::Total);
        }
        let silent = silent_until.is_some_and(|at| at <= now);
        if silent { NextTimer::Timeout(Deadline::Idle) } else { NextTimer::Heartbeat }
    }
}
