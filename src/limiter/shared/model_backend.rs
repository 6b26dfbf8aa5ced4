//! A model of Redis in this process, on tokio's clock, with faults.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::Answer;
use super::exchange::Exchange;
use super::model::Model;
use crate::shared::redis::RedisError;

/// What happens to the calls of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They are answered.
    None,
    /// There is no connection.
    Gone,
    /// They are not answered, and not executed.
    Hangs,
    /// They are executed, and not answered.
    LosesAnswers,
}

/// The connection of one replica to the model.
pub(super) struct ModelBackend {
    pub(super) server: Arc<ModelServer>,
    pub(super) fault: Arc<Mutex<Fault>>,
}

/// What all replicas are connected to.
pub(super) struct ModelServer {
    origin: Instant,
    state: Mutex<(Model, Option<u64>)>,
    /// Of each half of a call.
    latency: Duration,
    /// Exchanges and empty round trips.
    calls: AtomicUsize,
}

impl ModelServer {
    pub(super) fn new(latency: Duration) -> Self {
        Self { origin: Instant::now(), state: Mutex::default(), latency, calls: AtomicUsize::new(0) }
    }

    /// Exchanges and empty round trips so far.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Loses all data.
    pub(super) fn flush(&self) {
        *self.state() = (Model::default(), None);
    }

    fn state(&self) -> MutexGuard<'_, (Model, Option<u64>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        1_700_000_000_000_000 + u64::try_from(self.origin.elapsed().as_micros()).unwrap()
    }
}

impl ModelBackend {
    pub(super) async fn exchange(
        &self,
        replica: &str,
        boot: bool,
        exchanges: &[(&str, &Exchange)],
    ) -> Result<Answer, RedisError> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::Gone => return Err(RedisError::Down),
            Fault::Hangs => {
                sleep(crate::shared::redis::CALL_TIMEOUT).await;
                return Err(RedisError::TimedOut);
            }
            Fault::None | Fault::LosesAnswers => {}
        }
        self.server.calls.fetch_add(exchanges.len().max(1), Ordering::Relaxed);
        sleep(self.server.latency).await;
        let answer = {
            let now = self.server.now();
            let mut state = self.server.state();
            let (model, began) = &mut *state;
            if boot {
                began.get_or_insert(now);
            }
            let replies =
                exchanges.iter().map(|(name, exchange)| model.exchange(name, replica, exchange, now)).collect();
            Answer { boot: *began, now, replies }
        };
        if fault == Fault::LosesAnswers {
            sleep(crate::shared::redis::CALL_TIMEOUT).await;
            return Err(RedisError::TimedOut);
        }
        sleep(self.server.latency).await;
        Ok(answer)
    }
}
