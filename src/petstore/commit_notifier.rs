//! Announces commits that have appended events.

use tokio::sync::watch;

/// Wakes what follows the event log; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct CommitNotifier {
    /// The number of the last event that this process has committed; 0 at first.
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

    /// A commit of this process, whose last event has this number, wakes the receivers.
    pub(super) fn committed(&self, last_event: u64) {
        self.last_event.send_replace(last_event);
    }

    /// A commit of another process wakes the receivers, which read the log.
    pub(super) fn committed_elsewhere(&self) {
        self.last_event.send_modify(|_| {});
    }
}
