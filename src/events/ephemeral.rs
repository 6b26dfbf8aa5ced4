//! What is told in passing: to those who listen at that moment, and to nobody later.
//!
//! It stands on a board until the next thing is put there. Who is slow misses what was there in between; nothing waits
//! for anybody, and who does not look at the board pays nothing for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::sync::{AtomicUsize, Notify, OwnedNotified, RwLock};
use crate::wire::event_frame::EphemeralFrame;

/// Where it stands.
#[derive(Default)]
pub(super) struct EphemeralChannel {
    // std RwLock: never held across .await
    latest: RwLock<(u64, Option<EphemeralFrame>)>,
    news: Arc<Notify>,
    readers: AtomicUsize,
}

impl EphemeralChannel {
    /// Puts `passing` in the place of what was there.
    pub(super) fn put(&self, passing: EphemeralFrame) {
        {
            let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
            *latest = (latest.0 + 1, Some(passing));
        }
        self.news.notify_waiters();
    }

    /// Whether anybody looks.
    pub(super) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// Somebody who looks from now on.
    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(self));
        let news = Arc::clone(&self.news).notified_owned();
        Reader { seen: self.count(), counted, listening: true, news }
    }

    fn count(&self) -> u64 {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// What stands there, if that is not what has been `seen`.
    fn look(&self, seen: &mut u64) -> Option<EphemeralFrame> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        if latest.0 == *seen {
            return None;
        }
        *seen = latest.0;
        latest.1.clone()
    }
}

/// A reader as the board counts it.
struct Counted(Arc<EphemeralChannel>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// Somebody who looks at the board.
    pub(super) struct Reader {
        counted: Counted,
        // How many things have stood there up to the last look.
        seen: u64,
        listening: bool,
        #[pin]
        news: OwnedNotified,
    }
}

impl Reader {
    /// What stands there now, once.
    pub(super) fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<EphemeralFrame> {
        let mut this = self.project();
        let board = &this.counted.0;
        loop {
            // Before looking, so that whatever is put there after the look wakes us.
            if !*this.listening {
                this.news.set(Arc::clone(&board.news).notified_owned());
                *this.listening = true;
            }
            if let Some(passing) = board.look(this.seen) {
                return Poll::Ready(passing);
            }
            ready!(this.news.as_mut().poll(cx));
            *this.listening = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    fn passing(number: u32) -> EphemeralFrame {
        EphemeralFrame::new("stats", &number.to_string())
    }

    async fn next(reader: &mut Pin<&mut Reader>) -> EphemeralFrame {
        std::future::poll_fn(|cx| reader.as_mut().poll_next(cx)).await
    }

    #[tokio::test]
    async fn a_reader_sees_what_comes_after_it_and_only_the_latest() {
        let board = Arc::new(EphemeralChannel::default());
        board.put(passing(1));
        let mut reader = pin!(board.reader());
        assert!(next(&mut reader).now_or_never().is_none(), "that was before");
        board.put(passing(2));
        assert_eq!(next(&mut reader).await, passing(2));
        assert!(next(&mut reader).now_or_never().is_none(), "only once");
        board.put(passing(3));
        board.put(passing(4));
        assert_eq!(next(&mut reader).await, passing(4));
        assert!(next(&mut reader).now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let board = Arc::new(EphemeralChannel::default());
        let mut reader = Box::pin(board.reader());
        let (waits, waiting) = tokio::sync::oneshot::channel();
        let mut waits = Some(waits);
        let woken = tokio::spawn(async move {
            let next = std::future::poll_fn(|cx| {
                let next = reader.as_mut().poll_next(cx);
                if let Some(waits) = waits.take() {
                    let _ = waits.send(next.is_pending());
                }
                next
            });
            next.await
        });
        assert!(waiting.await.unwrap());
        board.put(passing(1));
        assert_eq!(woken.await.unwrap(), passing(1));
    }

    #[test]
    fn readers_are_counted_while_they_are_there() {
        let board = Arc::new(EphemeralChannel::default());
        let (one, other) = (board.reader(), board.reader());
        drop(one);
        assert!(board.is_read());
        drop(other);
        assert!(!board.is_read());
    }
}
