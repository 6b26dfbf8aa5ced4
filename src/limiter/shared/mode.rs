//! Whether limits are shared at the moment.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Whether limits are shared at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Redis answers.
    Shared,
    /// Redis does not answer: `redis.on_failure` decides. With the number of this outage.
    Outage(u64),
    /// Redis has lost its data, or has just begun: replicas report what was used, and admit their share meanwhile. With
    /// the number of this outage.
    Recovery(u64),
}

impl Mode {
    /// Its place in `LeaseMetrics::MODES`.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Outage(_) => 0,
            Self::Recovery(_) => 1,
            Self::Shared => 2,
        }
    }
}

/// The mode in force: one atomic load for each request.
#[derive(Debug, Default)]
pub(super) struct CurrentMode {
    /// The number of the last outage, times four, and the mode: 0 outage, 1 recovery, 2 shared.
    packed: AtomicU64,
    changed: Notify,
}

impl CurrentMode {
    pub(super) fn get(&self) -> Mode {
        let packed = self.packed.load(Ordering::Acquire);
        match packed & 3 {
            2 => Mode::Shared,
            1 => Mode::Recovery(packed >> 2),
            _ => Mode::Outage(packed >> 2),
        }
    }

    /// The number of outages so far, the one of before the first answer not counted.
    pub(super) fn outages(&self) -> u64 {
        self.packed.load(Ordering::Acquire) >> 2
    }

    /// Only one task changes it. An outage and the recovery after it have the same number.
    pub(super) fn set(&self, shared: bool, recovery: bool) {
        let packed = self.packed.load(Ordering::Acquire);
        let was_shared = packed & 3 == 2;
        let number = (packed >> 2) + u64::from(was_shared && !shared);
        let mode = if shared { 2 } else { u64::from(recovery) };
        let new = number << 2 | mode;
        if new != packed {
            self.packed.store(new, Ordering::Release);
            self.changed.notify_waiters();
        }
    }

    /// Waits until limits are shared.
    pub(super) async fn shared(&self) {
        loop {
            let changed = self.changed.notified();
            if self.get() == Mode::Shared {
                return;
            }
            changed.await;
        }
    }
}
