//! A client of Redis, as a server has one, in the process of a test.

use std::sync::Arc;

use petstream::config::RedisConfig;
use petstream::http::client::system_tls;
use petstream::shared::redis::{ConnectionTask, Observer, OpenError, Redis, RedisError, RedisState, Unobserved};
use redis::cmd;
use test_support::soon;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A client and its task, which ends with it.
pub(crate) struct Client {
    pub(crate) redis: Redis,
    task: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn open(url: &str) -> Result<Client, OpenError> {
    open_observed(url, Arc::new(Unobserved)).await
}

pub(crate) async fn open_observed(url: &str, observer: Arc<dyn Observer>) -> Result<Client, OpenError> {
    let config = RedisConfig::new(url.parse().unwrap());
    Ok(Client::start(ConnectionTask::open(&config, &system_tls().unwrap(), observer).await?))
}

impl Client {
    pub(crate) fn start((redis, task): (Redis, ConnectionTask)) -> Self {
        Self { redis, task: tokio::spawn(task.run(CancellationToken::new())) }
    }

    pub(crate) async fn increment(&self, key: &str) -> Result<u64, RedisError> {
        self.redis.call(cmd("INCR").arg(self.redis.key(key))).await
    }

    /// Waits until Redis is known to be reached, or not.
    pub(crate) async fn is(&self, up: bool) {
        let mut state = self.redis.state();
        soon("the state of Redis", state.wait_for(|state| (*state == RedisState::Up) == up)).await.unwrap();
    }
}
