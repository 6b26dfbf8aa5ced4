//! Commit notifications between servers without Redis: NOTIFY, outside the transactions that commit.
//!
//! A NOTIFY within a transaction takes a lock of the whole server at its commit, which costs parallel commits more than
//! half of their rate. So each server sends its last number on a connection of its own, at most 50 times a second. A
//! notification that is lost delays events by a second at most: subscribers' servers poll the log.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::watch;

use crate::store::error::StoreError;
use crate::store::handle::{Backend, Store};

/// The channel. Its names belong to one database of the server.
const CHANNEL: &str = "petstream_events";
/// Shortest time between two notifications of one server.
const INTERVAL: Duration = Duration::from_millis(20);
/// Pause before a lost connection is made again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Sends and receives commit notifications through Postgres.
#[derive(Debug)]
pub struct CommitListener {
    pool: PgPool,
}

impl Store {
    /// The commit notifications of other servers on this database; `None`: SQLite, whose servers poll.
    #[must_use]
    pub fn commit_listener(&self) -> Option<CommitListener> {
        let Backend::Postgres(postgres) = &*self.backend else { return None };
        // Two connections: one waits, one sends.
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(5));
        Some(CommitListener { pool: pool.connect_lazy_with(postgres.direct.clone()) })
    }
}

impl CommitListener {
    /// Sends the numbers of `commits`, and calls `receive` with those of other servers, until the future is dropped.
    pub async fn run(self, commits: watch::Receiver<u64>, receive: impl Fn(u64)) {
        let Self { pool } = self;
        futures_util::future::join(send(&pool, commits), receive_all(&pool, receive)).await;
    }
}

async fn send(pool: &PgPool, mut commits: watch::Receiver<u64>) {
    while commits.changed().await.is_ok() {
        let last = *commits.borrow_and_update();
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(last.to_string());
        let sent = tokio::time::timeout(RETRY_PAUSE, notify.persistent(false).execute(pool)).await;
        // Others find the events by themselves; the next commit sends again.
        let pause = if matches!(sent, Ok(Ok(_))) { INTERVAL } else { RETRY_PAUSE };
        tokio::time::sleep(pause).await;
    }
}

async fn receive_all(pool: &PgPool, receive: impl Fn(u64)) {
    loop {
        let failed = listen(pool, &receive).await;
        tracing::debug!(error = %failed, "no commit notifications from Postgres; the log is polled");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Receives until the connection fails.
async fn listen(pool: &PgPool, receive: &impl Fn(u64)) -> StoreError {
    let mut listener = match PgListener::connect_with(pool).await {
        Ok(listener) => listener,
        Err(error) => return error.into(),
    };
    if let Err(error) = listener.listen(CHANNEL).await {
        return error.into();
    }
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => {
                if let Ok(last) = notification.payload().parse() {
                    receive(last);
                }
            }
            Ok(None) => return StoreError::Database(sqlx::Error::PoolClosed),
            Err(error) => return error.into(),
        }
    }
}
