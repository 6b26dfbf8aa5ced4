//! What this replica shares with others through Redis: the connection, heartbeats, and commit notifications.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::AppError;
use super::background::BackgroundTasks;
use crate::config::Config;
use crate::http::client::system_tls;
use crate::petstore::PetStore;
use crate::shared::redis::{CallResult, ConnectionTask, Observer, Redis};
use crate::shared::{CommitNotifications, NotificationMeter, ReplicaId, Replicas};
use crate::telemetry::metrics::{Metrics, RedisMetrics};

/// Connects to Redis; none: none is configured. A task keeps the connection until a moment after the last connection of
/// a client has ended.
pub(super) async fn open_redis(
    config: &Config,
    metrics: &Metrics,
    tasks: &BackgroundTasks,
) -> Result<Option<Redis>, AppError> {
    let Some(redis) = &config.redis else { return Ok(None) };
    let tls = system_tls().map_err(AppError::Tls)?;
    let observer = Arc::new(RedisObserver(metrics.redis()));
    let (handle, connection) = ConnectionTask::open(redis, &tls, observer).await.map_err(AppError::Redis)?;
    tasks.spawn(connection.run(tasks.shutdown.disconnected.token().clone()));
    let (server, prefix) = (handle.server(), &redis.prefix);
    tracing::info!(
        server,
        prefix,
        "redis: it has the list of replicas with their activity, and passes on commit notifications"
    );
    Ok(Some(handle))
}

/// Joins the replicas as `own`, with what `sample` has as its activity. Tasks send heartbeats, and pass on commit
/// notifications in both directions, until the last connection of a client has ended.
pub(super) fn join_replicas(
    redis: &Redis,
    own: &ReplicaId,
    sample: watch::Receiver<String>,
    pets: &PetStore,
    metrics: &Metrics,
    tasks: &BackgroundTasks,
) -> Replicas {
    let replicas = Replicas::new(redis.clone(), own.clone());
    tasks.spawn_until_disconnected(count_replicas(replicas.live_changes(), metrics.redis()));
    tasks.spawn(replicas.clone().run(sample, tasks.shutdown.disconnected.token().clone()));
    let meter = Arc::new(RedisObserver(metrics.redis()));
    let notifications = CommitNotifications::new(redis.clone(), own.clone(), meter);
    tasks.spawn_until_disconnected(notifications.clone().publish(pets.commit_notifications()));
    let pets = pets.clone();
    tasks.spawn_until_disconnected(notifications.receive(move || pets.notify_commit()));
    replicas
}

async fn count_replicas(mut live: watch::Receiver<u32>, metrics: Arc<RedisMetrics>) {
    loop {
        metrics.replicas(*live.borrow_and_update());
        if live.changed().await.is_err() {
            return;
        }
    }
}

/// Records what happens in the metrics.
struct RedisObserver(Arc<RedisMetrics>);

impl Observer for RedisObserver {
    fn called(&self, result: CallResult, time: Option<Duration>) {
        self.0.called(result.name(), time);
    }

    fn reached(&self, is_up: bool) {
        self.0.reached(is_up);
    }

    fn reconnected(&self) {
        self.0.reconnected();
    }
}

impl NotificationMeter for RedisObserver {
    fn sent(&self) {
        self.0.notification_sent();
    }

    fn received(&self) {
        self.0.notification_received();
    }

    fn invalid(&self) {
        self.0.notification_invalid();
    }

    fn delay(&self, time: Duration) {
        self.0.notification_delay(time);
    }
}
