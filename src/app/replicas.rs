//! What this replica shares with others through Redis: the connection, heartbeats, and commit notifications.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::AppError;
use super::background::BackgroundTasks;
use crate::config::{Config, OnFailure, RateLimits};
use crate::http::client::system_tls;
use crate::limiter::{Clock, Limiter, SharedLimits};
use crate::petstore::PetStore;
use crate::shared::redis::{CallResult, ConnectionTask, Observer, Redis};
use crate::shared::{CommitNotifications, NotificationMeter, ReplicaId, Replicas};
use crate::telemetry::metrics::{Metrics, RedisMetrics};

/// How long the start waits until limits are shared. With a Redis that has just begun this takes 1.5 s.
const LIMITS_TIMEOUT: Duration = Duration::from_secs(5);

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
        "redis: it has the rate limits and the list of replicas with their activity, and passes on commit notifications"
    );
    Ok(Some(handle))
}

/// Shares limits with other replicas. A task exchanges them with Redis until the last connection of a client has ended.
pub(super) fn share_limits(
    redis: &Redis,
    own: &ReplicaId,
    config: &Config,
    clock: &Clock,
    metrics: &Metrics,
    tasks: &BackgroundTasks,
) -> SharedLimits {
    let on_failure = config.redis.as_ref().map_or(OnFailure::Share, |redis| redis.on_failure);
    let (limits, task) = SharedLimits::open(redis.clone(), own, on_failure, clock.clone(), metrics.leases());
    tasks.spawn(task.run(tasks.shutdown.disconnected.token().clone()));
    limits
}

/// The limiter of this process alone, or of all replicas: then it waits until their limits are shared.
pub(super) async fn open_limiter(total: RateLimits, clock: Clock, limits: Option<SharedLimits>) -> Limiter {
    let Some(limits) = limits else { return Limiter::new(total, clock) };
    if timeout(LIMITS_TIMEOUT, limits.ready()).await.is_err() {
        tracing::warn!("redis: limits are not shared yet; until then each replica applies redis.on_failure");
    }
    Limiter::shared(total, clock, limits)
}

/// Joins the replicas as `own`, with what `sample` has as its activity. Tasks send heartbeats, and pass on commit
/// notifications in both directions, until the last connection of a client has ended.
pub(super) fn join_replicas(
    redis: &Redis,
    own: &ReplicaId,
    sample: watch::Receiver<String>,
    pets: &PetStore,
    limits: SharedLimits,
    metrics: &Metrics,
    tasks: &BackgroundTasks,
) -> Replicas {
    let replicas = Replicas::new(redis.clone(), own.clone());
    tasks.spawn_until_disconnected(count_replicas(replicas.live_changes(), limits, metrics.redis()));
    tasks.spawn(replicas.clone().run(sample, tasks.shutdown.disconnected.token().clone()));
    let meter = Arc::new(RedisObserver(metrics.redis()));
    let notifications = CommitNotifications::new(redis.clone(), own.clone(), meter);
    tasks.spawn_until_disconnected(notifications.clone().publish(pets.commit_notifications()));
    let pets = pets.clone();
    tasks.spawn_until_disconnected(notifications.receive(move || pets.notify_commit()));
    replicas
}

async fn count_replicas(mut live: watch::Receiver<u32>, limits: SharedLimits, metrics: Arc<RedisMetrics>) {
    loop {
        let count = *live.borrow_and_update();
        metrics.replicas(count);
        limits.set_replicas(count);
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
