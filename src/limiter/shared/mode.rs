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

    /// An outage and the recovery after it have the same number.
    pub(super) fn set(&self, shared: bool, recovery: bool) {
        self.change(|packed| {
            let number = (packed >> 2) + u64::from(is_shared(packed) && !shared);
            number << 2 | if shared { 2 } else { u64::from(recovery) }
        });
    }

    /// Begins an outage, if limits are shared.
    pub(super) fn begin_outage(&self) {
        self.change(|packed| if is_shared(packed) { ((packed >> 2) + 1) << 2 } else { packed });
    }

    /// The exchanges and the requests change it at the same time.
    fn change(&self, change: impl Fn(u64) -> u64) {
        let other = |packed| Some(change(packed)).filter(|new| *new != packed);
        if self.packed.try_update(Ordering::AcqRel, Ordering::Acquire, other).is_ok() {
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

const fn is_shared(packed: u64) -> bool {
    packed & 3 == 2
}
