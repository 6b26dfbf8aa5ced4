//! One alarm for all that is waited for within a task.
//!
//! An alarm costs more than most of what is awaited with one, and it nearly never rings. Whoever polls a request's future has
//! an alarm already: waits inside of the future tell it when they end, instead of having one each.

use std::cell::Cell;
use std::task::{Context, RawWakerVTable};

use tokio::time::Instant;

thread_local! {
    static HOST: Cell<Option<Host>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Host {
    waker: (*const (), &'static RawWakerVTable),
    due: Option<Instant>,
}

/// Puts back what held before, also behind a panic.
struct Before(Option<Host>);

impl Drop for Before {
    fn drop(&mut self) {
        HOST.set(self.0);
    }
}

/// Polls something, and gives also the moment at which it wants to be polled again at the latest, if there is one.
pub fn hosted<T>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> (T, Option<Instant>) {
    let _before = Before(HOST.replace(Some(Host { waker: waker(cx), due: None })));
    let polled = poll(cx);
    (polled, HOST.get().and_then(|host| host.due))
}

/// Whether somebody will have the task polled at `due`. Not for a part of it that has a waker of its own: it is polled only
/// when that was woken.
pub(super) fn polls_again(cx: &Context<'_>, due: Instant) -> bool {
    let Some(host) = HOST.get() else { return false };
    let (data, table) = waker(cx);
    if host.waker.0 != data || !std::ptr::eq(host.waker.1, table) {
        return false;
    }
    HOST.set(Some(Host { due: Some(host.due.map_or(due, |other| other.min(due))), ..host }));
    true
}

fn waker(cx: &Context<'_>) -> (*const (), &'static RawWakerVTable) {
    (cx.waker().data(), cx.waker().vtable())
}
