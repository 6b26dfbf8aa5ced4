//! Commit notifications between servers without Redis: NOTIFY, outside the transactions that commit.
//!
//! A NOTIFY within a transaction takes a lock of the whole server at its commit, which costs parallel commits more than
//! half of their rate. So each server sends its last number on a connection of its own, at most 50 times a second. A
//! notification that is lost delays events by a second at most: subscribers' servers poll the log.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::watch;
use uuid::Uuid;

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
pub struct PostgresNotifications {
    pool: PgPool,
    /// Names this server in its own notifications, which it does not need.
    own: String,
}

impl Store {
    /// The commit notifications of other servers on this database; `None`: SQLite, whose servers poll.
    #[must_use]
    pub fn commit_notifications(&self) -> Option<PostgresNotifications> {
        let Backend::Postgres(postgres) = &*self.backend else { return None };
        // Two connections: one waits, one sends.
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(5));
        let own = Uuid::new_v4().to_string();
        Some(PostgresNotifications { pool: pool.connect_lazy_with(postgres.direct.clone()), own })
    }
}

impl PostgresNotifications {
    /// Sends a notification when `commits` has the number of another event, and calls `receive` for each one of another
    /// server, until the future is dropped.
    pub async fn run(self, commits: watch::Receiver<u64>, receive: impl Fn()) {
        let Self { pool, own } = self;
        futures_util::future::join(send(&pool, &own, commits), receive_all(&pool, &own, receive)).await;
    }
}

async fn send(pool: &PgPool, own: &str, mut commits: watch::Receiver<u64>) {
    let mut sent = 0;
    while commits.changed().await.is_ok() {
        // A commit of another server wakes this task too, with the same number.
        let last = *commits.borrow_and_update();
        if last == sent {
            continue;
        }
        sent = last;
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(own).persistent(false);
        let done = tokio::time::timeout(RETRY_PAUSE, notify.execute(pool)).await;
        // Others find the events by themselves; the next commit sends again.
        let pause = if matches!(done, Ok(Ok(_))) { INTERVAL } else { RETRY_PAUSE };
        tokio::time::sleep(pause).await;
    }
}

async fn receive_all(pool: &PgPool, own: &str, receive: impl Fn()) {
    loop {
        let failed = listen(pool, own, &receive).await;
        tracing::debug!(error = %failed, "no commit notifications from Postgres; the log is polled");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Receives until the connection fails.
async fn listen(pool: &PgPool, own: &str, receive: &impl Fn()) -> StoreError {
    let mut listener = match PgListener::connect_with(pool).await {
        Ok(listener) => listener,
        Err(error) => return error.into(),
    };
    if let Err(error) = listener.listen(CHANNEL).await {
        return error.into();
    }
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) if notification.payload() == own => {}
            Ok(Some(_)) => {
                receive();
                tokio::time::sleep(INTERVAL).await;
                // Those that have arrived meanwhile need no wake-up of their own, but for the last.
                let mut is_news = false;
                while let Some(notification) = listener.next_buffered() {
                    is_news |= notification.payload() != own;
                }
                if is_news {
                    receive();
                }
            }
            Ok(None) => return StoreError::Database(sqlx::Error::PoolClosed),
            Err(error) => return error.into(),
        }
    }
}
