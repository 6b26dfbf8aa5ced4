//! Wakes the subscribers of all runtimes.
//!
//! Waking a task of another runtime takes a system call for each task. So each runtime with subscribers has a task that
//! waits for the hub's notification and forwards it to the subscribers of its own runtime, without system calls.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crate::sync::{Handle, Mutex, Notify, OwnedNotified, RuntimeId, spawn};

/// One notification for the hub and one for each runtime.
#[derive(Default)]
pub(super) struct RuntimeNotifiers {
    hub: Arc<Notify>,
    // std Mutex: never held across .await. One entry for each runtime there ever was.
    runtimes: Mutex<HashMap<RuntimeId, Arc<Notify>>>,
}

impl RuntimeNotifiers {
    /// Wakes all waiting subscribers.
    pub(super) fn notify(&self) {
        self.hub.notify_waiters();
    }

    /// The notification of the current runtime.
    pub(super) fn of_current_runtime(&self) -> Arc<Notify> {
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = runtimes.entry(Handle::current().id()).or_insert_with(|| {
            let runtime = Arc::<Notify>::default();
            // Registered here and not when the task first runs, so that no notification in between is lost.
            let notified = Arc::clone(&self.hub).notified_owned();
            spawn(forward(Arc::clone(&self.hub), notified, Arc::clone(&runtime)));
            runtime
        });
        Arc::clone(runtime)
    }
}

/// Notifies `runtime` whenever `hub` is notified, until the runtime ends.
async fn forward(hub: Arc<Notify>, mut notified: OwnedNotified, runtime: Arc<Notify>) {
    loop {
        notified.await;
        // Registered before forwarding, so that no notification meanwhile is lost.
        notified = Arc::clone(&hub).notified_owned();
        runtime.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn subscribers_of_every_runtime_are_woken() {
        let notifiers = Arc::new(RuntimeNotifiers::default());
        let elsewhere = |notifiers: Arc<RuntimeNotifiers>| {
            let (register, registered) = oneshot::channel();
            let thread = thread::spawn(move || {
                let runtime = Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let notified = notifiers.of_current_runtime().notified_owned();
                    register.send(()).unwrap();
                    notified.await;
                });
            });
            (registered, thread)
        };
        let here = notifiers.of_current_runtime();
        for _ in 0..3 {
            let (registered, thread) = elsewhere(Arc::clone(&notifiers));
            let notified = Arc::clone(&here).notified_owned();
            registered.await.unwrap();
            notifiers.notify();
            notified.await;
            tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_notification_right_after_the_first_registration_is_not_lost() {
        let notifiers = RuntimeNotifiers::default();
        let notified = notifiers.of_current_runtime().notified_owned();
        notifiers.notify();
        notified.await;
    }
}
