//! Who is woken when there is news: a bell for each runtime on which somebody listens.
//!
//! To wake a task of another runtime takes a system call for every single one. So one task of each runtime hears the
//! hub's own bell, and rings that of its runtime, whose tasks then wait their turn and nothing more.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crate::sync::{Handle, Mutex, Notify, OwnedNotified, RuntimeId, spawn};

/// See the module.
#[derive(Default)]
pub(super) struct RuntimeNotifiers {
    own: Arc<Notify>,
    // std Mutex: never held across .await. As many entries as there have been runtimes.
    of_runtimes: Mutex<HashMap<RuntimeId, Arc<Notify>>>,
}

impl RuntimeNotifiers {
    /// There is news.
    pub(super) fn ring(&self) {
        self.own.notify_waiters();
    }

    /// The bell of the runtime that runs this task.
    pub(super) fn here(&self) -> Arc<Notify> {
        let mut bells = self.of_runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let bell = bells.entry(Handle::current().id()).or_insert_with(|| {
            let bell = Arc::<Notify>::default();
            // It hears from now on, and not only once it runs.
            let heard = Arc::clone(&self.own).notified_owned();
            spawn(pass_on(Arc::clone(&self.own), heard, Arc::clone(&bell)));
            bell
        });
        Arc::clone(bell)
    }
}

/// Rings `bell` whenever `own` rings, until the runtime ends.
async fn pass_on(own: Arc<Notify>, mut heard: OwnedNotified, bell: Arc<Notify>) {
    loop {
        heard.await;
        // Before it is passed on: what happens meanwhile is passed on too.
        heard = Arc::clone(&own).notified_owned();
        bell.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn every_runtime_hears_of_everything() {
        let bells = Arc::new(RuntimeNotifiers::default());
        let elsewhere = |bells: Arc<RuntimeNotifiers>| {
            let (listens, listening) = oneshot::channel();
            let heard = thread::spawn(move || {
                let runtime = Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let news = bells.here().notified_owned();
                    listens.send(()).unwrap();
                    news.await;
                });
            });
            (listening, heard)
        };
        let here = bells.here();
        for _ in 0..3 {
            let (listening, heard) = elsewhere(Arc::clone(&bells));
            let news = Arc::clone(&here).notified_owned();
            listening.await.unwrap();
            bells.ring();
            news.await;
            tokio::task::spawn_blocking(move || heard.join().unwrap()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_ring_right_after_the_first_listener_came_is_not_lost() {
        let bells = RuntimeNotifiers::default();
        let news = bells.here().notified_owned();
        bells.ring();
        news.await;
    }
}
