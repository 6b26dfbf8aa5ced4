//! A connection of its own that receives what is published on a channel; it is replaced when it fails.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Msg, Value};
use tokio::time::{sleep, timeout};

use super::backoff::delay;
use super::client::Redis;

/// Silence after which a connection is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the answer to a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Receives what is published on a channel.
pub struct Subscriber {
    redis: Redis,
    channel: String,
    connection: Option<(PubSubSink, PubSubStream)>,
    /// Attempts to connect since the last sign of life.
    attempts: u32,
}

/// What a [`Subscriber`] has received.
#[derive(Debug)]
pub enum Received {
    /// There is a connection again; what was published before is missing.
    Connected,
    /// A message.
    Message(Msg),
}

impl Subscriber {
    /// A subscriber of this channel, without a connection yet.
    #[must_use]
    pub const fn new(redis: Redis, channel: String) -> Self {
        Self { redis, channel, connection: None, attempts: 0 }
    }

    /// Waits for a message, or for a connection.
    pub async fn next(&mut self) -> Received {
        loop {
            let Some((sink, stream)) = &mut self.connection else {
                self.connect().await;
                return Received::Connected;
            };
            match timeout(CHECK_INTERVAL, stream.next()).await {
                Ok(Some(message)) => {
                    self.attempts = 0;
                    return Received::Message(message);
                }
                Ok(None) => self.connection = None,
                Err(_silence) => match timeout(CHECK_TIMEOUT, sink.ping::<Value>()).await {
                    Ok(Ok(_)) => self.attempts = 0,
                    Ok(Err(_)) | Err(_) => self.connection = None,
                },
            }
        }
    }

    /// A message that has arrived already.
    pub fn arrived(&mut self) -> Option<Msg> {
        self.connection.as_mut()?.1.next().now_or_never().flatten()
    }

    async fn connect(&mut self) {
        let server = self.redis.server();
        loop {
            sleep(delay(self.attempts)).await;
            self.attempts = self.attempts.saturating_add(1);
            match self.redis.0.endpoint.subscribe(&self.channel).await {
                Ok(connection) => {
                    self.connection = Some(connection.split());
                    return;
                }
                // Logged once, unless Redis is lost as a whole, which the client logs.
                Err(problem) if self.attempts == 2 && self.redis.is_up() => {
                    tracing::warn!(server, %problem, channel = self.channel, "nothing can be received from Redis");
                }
                Err(_) => {}
            }
        }
    }
}
