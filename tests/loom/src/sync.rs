//! Replacements for petstream's `crate::sync`: loom's primitives, and models of those of tokio and futures.

mod cancellation;
mod notify;
mod runtime;
mod waker;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize};
pub(crate) use loom::sync::{Mutex, MutexGuard, RwLock};

pub(crate) use cancellation::{CancellationToken, WaitForCancellationFutureOwned};
pub(crate) use notify::{Notify, OwnedNotified};
pub(crate) use runtime::{Handle, RuntimeId, block_on, spawn};
pub(crate) use waker::AtomicWaker;
