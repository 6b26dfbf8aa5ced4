//! The handle to Redis: calls within their bounds.

use std::sync::Arc;

use arc_swap::ArcSwap;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, ScriptInvocation};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::connection::{CALL_TIMEOUT, Connection};
use super::endpoint::Endpoint;
use super::error::{RedisError, Verdict};
use super::observer::{CallResult, Observer};

/// Most calls that wait for an answer at once; further ones fail with [`RedisError::Busy`].
const MAX_CALLS: usize = 1_024;

/// Whether Redis can be reached. It was reached at the start, see [`ConnectionTask::open`](super::ConnectionTask::open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisState {
    /// There is a connection.
    Up,
    /// There has been no connection since then.
    Down {
        /// When the last one was lost.
        since: Instant,
    },
}

/// A handle to Redis; cheap to clone. The future of a call may be dropped at any time.
#[derive(Clone)]
pub struct Redis(pub(super) Arc<Shared>);

/// What the handles and the task share.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    prefix: String,
    /// The last connection, which may have failed.
    pub(super) connection: ArcSwap<Connection>,
    pub(super) state: watch::Sender<RedisState>,
    calls: Semaphore,
    pub(super) observer: Arc<dyn Observer>,
}

impl Redis {
    pub(super) fn new(endpoint: Endpoint, prefix: &str, first: Arc<Connection>, observer: Arc<dyn Observer>) -> Self {
        Self(Arc::new(Shared {
            endpoint,
            prefix: prefix.to_owned(),
            connection: ArcSwap::new(first),
            state: watch::Sender::new(RedisState::Up),
            calls: Semaphore::new(MAX_CALLS),
            observer,
        }))
    }

    /// The key or channel `name` of this installation: `petstream:name`, unless another prefix is configured.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.0.prefix)
    }

    /// Host and port, for logs.
    #[must_use]
    pub fn server(&self) -> String {
        self.0.endpoint.server()
    }

    /// Whether Redis can be reached; the receiver is notified of changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<RedisState> {
        self.0.state.subscribe()
    }

    /// Whether Redis can be reached, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.connection.load().failure().is_none()
    }

    /// Runs a command.
    ///
    /// # Errors
    /// [`RedisError`], within [`CALL_TIMEOUT`].
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        self.within_bounds(async |mut connection| command.query_async(&mut connection).await).await
    }

    /// Runs the commands of a pipeline, with one round trip. If one of them fails, the others are executed nevertheless,
    /// unless the pipeline is `atomic`.
    ///
    /// # Errors
    /// As [`Redis::call`]; that of the first command that has failed.
    pub async fn call_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        self.within_bounds(async |mut connection| pipeline.query_async(&mut connection).await).await
    }

    /// Runs a script by its hash. If Redis does not know it (any more), the script is sent, within the same time.
    ///
    /// # Errors
    /// As [`Redis::call`].
    pub async fn run_script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, RedisError> {
        self.within_bounds(async |mut connection| script.invoke_async(&mut connection).await).await
    }

    async fn within_bounds<T>(
        &self,
        call: impl AsyncFnOnce(redis::aio::MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, RedisError> {
        let observer = &self.0.observer;
        let connection = self.0.connection.load_full();
        if connection.failure().is_some() {
            observer.called(CallResult::Down, None);
            return Err(RedisError::Down);
        }
        let Ok(_permit) = self.0.calls.try_acquire() else {
            observer.called(CallResult::Busy, None);
            return Err(RedisError::Busy);
        };
        let began = Instant::now();
        let outcome = match timeout(CALL_TIMEOUT, call(connection.multiplexed())).await {
            Ok(Ok(value)) => {
                connection.answered();
                Ok(value)
            }
            Ok(Err(error)) => Err(judge(&connection, &error)),
            Err(_elapsed) => {
                connection.timed_out();
                Err(RedisError::TimedOut)
            }
        };
        let result = match &outcome {
            Ok(_) => CallResult::Ok,
            Err(RedisError::Answered(_)) => CallResult::Error,
            Err(RedisError::TimedOut) => CallResult::TimedOut,
            Err(RedisError::Down | RedisError::Busy) => CallResult::Down,
        };
        observer.called(result, Some(began.elapsed()));
        outcome
    }
}

/// What an error means for the caller; the connection has failed if it can't be used any more.
fn judge(connection: &Connection, error: &redis::RedisError) -> RedisError {
    match Verdict::of(error) {
        Verdict::Answered(text) => {
            connection.answered();
            RedisError::Answered(text)
        }
        Verdict::Unusable(text) => {
            connection.fail(text.clone());
            RedisError::Answered(text)
        }
        Verdict::Lost(why) => {
            connection.fail(why);
            RedisError::Down
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Futures of calls go to other threads.
    #[test]
    fn calls_can_be_sent() {
        fn is_send<T: Send>(_: &T) {}
        fn check(redis: &Redis, command: &Cmd, pipeline: &Pipeline, script: &ScriptInvocation<'_>) {
            is_send(&redis.call::<()>(command));
            is_send(&redis.call_all::<()>(pipeline));
            is_send(&redis.run_script::<()>(script));
        }
        let _ = check;
    }
}
