//! Announces commits that have appended events.

use tokio::sync::watch;

/// Holds the number of the last committed event; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct CommitNotifier {
    last_event: watch::Sender<u64>,
}

impl Default for CommitNotifier {
    fn default() -> Self {
        Self { last_event: watch::Sender::new(0) }
    }
}

impl CommitNotifier {
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.last_event.subscribe()
    }

    /// Wakes the receivers, unless they were notified of this event or a later one.
    pub(super) fn notify(&self, last_event: u64) {
        self.last_event.send_if_modified(|last| {
            let is_new = last_event > *last;
            *last = last_event.max(*last);
            is_new
        });
    }
}
