//! Keeps the connection: drives it, and after a failure makes another one.

use std::sync::Arc;
use std::time::Duration;

use redis::cmd;
use rustls::ClientConfig;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backoff::delay;
use super::client::{Redis, RedisState};
use super::connection::{CALL_TIMEOUT, Connection};
use super::endpoint::{Driver, Endpoint};
use super::error::{Verdict, text};
use super::observer::Observer;
use super::open_error::{OpenError, Problem};
use crate::config::RedisConfig;

/// How long the start waits for Redis, which may be starting too.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long calls can be made after the end of the server.
const LAST_CALLS: Duration = Duration::from_millis(100);
/// How long the key of the probe stays, seconds.
const PROBE_EXPIRY: u32 = 60;

/// Keeps the connection of a [`Redis`].
pub struct ConnectionTask {
    redis: Redis,
    connection: Arc<Connection>,
    driver: Driver,
}

impl ConnectionTask {
    /// Connects to Redis; tries for a few seconds, unless Redis refuses the password. `tls` are the authorities to
    /// trust. The connection works while [`ConnectionTask::run`] is polled.
    ///
    /// # Errors
    /// [`OpenError`] with the last problem.
    pub async fn open(
        config: &RedisConfig,
        tls: &Arc<ClientConfig>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Redis, Self), OpenError> {
        let endpoint = Endpoint::new(&config.url, tls);
        let probe = format!("{}:probe", config.prefix);
        let until = Instant::now() + OPEN_TIMEOUT;
        let mut attempt = 0;
        let (connection, driver) = loop {
            match connect(&endpoint, &probe).await {
                Ok(connected) => break connected,
                Err(problem) if problem.is_permanent() || Instant::now() >= until => {
                    return Err(OpenError { server: endpoint.server(), problem });
                }
                Err(_) => sleep(delay(attempt)).await,
            }
            attempt += 1;
        };
        let connection = Arc::new(connection);
        observer.reached(true);
        let redis = Redis::new(endpoint, &config.prefix, Arc::clone(&connection), observer);
        Ok((redis.clone(), Self { redis, connection, driver }))
    }

    /// Drives the connection, and replaces it when it has failed. When `stop` is cancelled, calls can be made for a
    /// moment longer, in which other tasks give back what they hold; then all calls fail.
    pub async fn run(self, stop: CancellationToken) {
        let last_calls = async {
            stop.cancelled().await;
            sleep(LAST_CALLS).await;
        };
        tokio::select! {
            () = self.keep_connected() => {}
            () = last_calls => {}
        }
    }

    async fn keep_connected(self) {
        let Self { redis, mut connection, mut driver } = self;
        let mut attempt = 0;
        loop {
            tokio::select! {
                () = &mut driver => connection.fail("the connection was closed".to_owned()),
                () = connection.failed() => {}
            }
            // Closes the socket; calls that still wait for an answer fail.
            drop(driver);
            let why = connection.failure().unwrap_or_default().to_owned();
            // A server that accepts connections and answers no call is not connected to again and again at once.
            if connection.is_proven() {
                attempt = 0;
            }
            (connection, driver) = redis.reconnect(&why, &mut attempt).await;
        }
    }
}

impl Redis {
    /// Connects until a connection is made, and puts it in the place of the last one.
    async fn reconnect(&self, why: &str, attempt: &mut u32) -> (Arc<Connection>, Driver) {
        let shared = &self.0;
        let (server, since) = (self.server(), Instant::now());
        shared.state.send_replace(RedisState::Down { since });
        shared.observer.reached(false);
        tracing::warn!(server, why, "Redis can't be used; connecting again in the background");
        let probe = self.key("probe");
        let (connection, driver) = loop {
            sleep(delay(*attempt)).await;
            *attempt = attempt.saturating_add(1);
            match connect(&shared.endpoint, &probe).await {
                Ok(connected) => break connected,
                Err(problem) => tracing::debug!(server, %problem, "no connection to Redis yet"),
            }
        };
        let connection = Arc::new(connection);
        shared.connection.store(Arc::clone(&connection));
        shared.state.send_replace(RedisState::Up);
        shared.observer.reached(true);
        shared.observer.reconnected();
        let seconds = since.elapsed().as_secs_f64();
        tracing::info!(server, seconds, "Redis can be used again");
        (connection, driver)
    }
}

/// Makes a connection, and probes it: a server that can't be written to, or that answers too late, is not used.
async fn connect(endpoint: &Endpoint, probe: &str) -> Result<(Connection, Driver), Problem> {
    let (mut multiplexed, mut driver) = endpoint.connect().await?;
    let mut write = cmd("SET");
    write.arg(probe).arg(1).arg("EX").arg(PROBE_EXPIRY);
    let answer = tokio::select! {
        answer = timeout(CALL_TIMEOUT, write.query_async::<()>(&mut multiplexed)) => answer,
        () = &mut driver => return Err(Problem::Connect("the connection was closed".to_owned())),
    };
    match answer {
        Ok(Ok(())) => Ok((Connection::new(multiplexed), driver)),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_elapsed) => Err(Problem::Slow),
    }
}

fn refused(error: &redis::RedisError) -> Problem {
    match Verdict::of(error) {
        _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => Problem::SignIn(text(error)),
        Verdict::Answered(why) | Verdict::Unusable(why) => Problem::Refused(why),
        Verdict::Lost(why) => Problem::Connect(why),
    }
}
