//! Ephemeral events: no id, not logged, never replayed. Each reader sees the newest only.
//!
//! The channel holds one frame, which the next one replaces. A sender never waits; a slow reader misses the frames in
//! between. A subscription that does not read the channel has no cost.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::sync::{AtomicUsize, Notify, OwnedNotified, RwLock};
use crate::wire::event_frame::EphemeralFrame;

/// Holds the newest frame.
#[derive(Default)]
pub(super) struct EphemeralChannel {
    // std RwLock: never held across .await
    // The number of frames ever sent, and the newest.
    newest: RwLock<(u64, Option<EphemeralFrame>)>,
    notify: Arc<Notify>,
    readers: AtomicUsize,
}

impl EphemeralChannel {
    /// Replaces the frame and wakes the readers.
    pub(super) fn send(&self, frame: EphemeralFrame) {
        {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            *newest = (newest.0 + 1, Some(frame));
        }
        self.notify.notify_waiters();
    }

    pub(super) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// A reader of the frames that are sent from now on.
    pub(super) fn reader(self: &Arc<Self>) -> EphemeralReader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        let channel = CountedReader(Arc::clone(self));
        let notified = Arc::clone(&self.notify).notified_owned();
        EphemeralReader { seen: self.sent(), channel, is_registered: true, notified }
    }

    fn sent(&self) -> u64 {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The newest frame, unless `seen` frames include it.
    fn newer_than(&self, seen: &mut u64) -> Option<EphemeralFrame> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        if newest.0 == *seen {
            return None;
        }
        *seen = newest.0;
        newest.1.clone()
    }
}

/// Counts a reader until it is dropped.
struct CountedReader(Arc<EphemeralChannel>);

impl Drop for CountedReader {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// A reader of the channel.
    pub(super) struct EphemeralReader {
        channel: CountedReader,
        // The number of frames sent up to the last read.
        seen: u64,
        // Whether `notified` is waiting, and not yet completed.
        is_registered: bool,
        #[pin]
        notified: OwnedNotified,
    }
}

impl EphemeralReader {
    /// Returns the newest frame once, or waits for the next one.
    pub(super) fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<EphemeralFrame> {
        let mut this = self.project();
        let channel = &this.channel.0;
        loop {
            // Registered before the read, so that a frame sent after the read wakes this task.
            if !*this.is_registered {
                this.notified.set(Arc::clone(&channel.notify).notified_owned());
                *this.is_registered = true;
            }
            if let Some(frame) = channel.newer_than(this.seen) {
                return Poll::Ready(frame);
            }
            ready!(this.notified.as_mut().poll(cx));
            *this.is_registered = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    fn frame(number: u32) -> EphemeralFrame {
        EphemeralFrame::new("stats", &number.to_string())
    }

    async fn next(reader: &mut Pin<&mut EphemeralReader>) -> EphemeralFrame {
        std::future::poll_fn(|cx| reader.as_mut().poll_next(cx)).await
    }

    #[tokio::test]
    async fn a_reader_sees_frames_sent_after_its_creation_and_only_the_newest() {
        let channel = Arc::new(EphemeralChannel::default());
        channel.send(frame(1));
        let mut reader = pin!(channel.reader());
        assert!(next(&mut reader).now_or_never().is_none(), "sent before the reader was created");
        channel.send(frame(2));
        assert_eq!(next(&mut reader).await, frame(2));
        assert!(next(&mut reader).now_or_never().is_none(), "a frame is read once");
        channel.send(frame(3));
        channel.send(frame(4));
        assert_eq!(next(&mut reader).await, frame(4));
        assert!(next(&mut reader).now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let channel = Arc::new(EphemeralChannel::default());
        let mut reader = Box::pin(channel.reader());
        let (report, reported) = tokio::sync::oneshot::channel();
        let mut report = Some(report);
        let woken = tokio::spawn(async move {
            let next = std::future::poll_fn(|cx| {
                let next = reader.as_mut().poll_next(cx);
                if let Some(report) = report.take() {
                    let _ = report.send(next.is_pending());
                }
                next
            });
            next.await
        });
        assert!(reported.await.unwrap());
        channel.send(frame(1));
        assert_eq!(woken.await.unwrap(), frame(1));
    }

    #[test]
    fn readers_are_counted_until_they_are_dropped() {
        let channel = Arc::new(EphemeralChannel::default());
        let (one, other) = (channel.reader(), channel.reader());
        drop(one);
        assert!(channel.has_readers());
        drop(other);
        assert!(!channel.has_readers());
    }
}
