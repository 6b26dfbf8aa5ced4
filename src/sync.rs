//! The synchronization primitives of the code that is model-checked with loom: the wake flag, the shutdown signal, the
//! usage queue and the notification of subscribers.
//!
//! `tests/loom` compiles those source files with a `crate::sync` of its own, which has loom's primitives and models of
//! tokio's under the same names. Shared state in those files must use this module, or loom does not see it.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};
pub(crate) use std::sync::{Mutex, MutexGuard, RwLock};

pub(crate) use futures_util::task::AtomicWaker;
pub(crate) use tokio::runtime::{Handle, Id as RuntimeId};
pub(crate) use tokio::spawn;
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio::sync::futures::OwnedNotified;
pub(crate) use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
