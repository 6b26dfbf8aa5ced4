//! The replicas that run: each sends a heartbeat a second, with a sample of its activity.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, cmd, pipe};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::redis::{Redis, RedisError};
use super::replica_id::ReplicaId;

/// Time between two heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a replica counts as live after its last heartbeat.
const LIVE_FOR: Duration = Duration::from_secs(5);
/// Most replicas whose samples are kept; further replicas count, and have none.
const MAX_SAMPLES: usize = 64;
/// Longest sample, bytes; a longer one is not sent, and not accepted.
const MAX_SAMPLE_LEN: usize = 8 * 1024;
/// How long samples that were read serve further readers.
const MAX_SAMPLES_AGE: Duration = Duration::from_secs(1);

/// The replicas that are live; cheap to clone.
#[derive(Clone)]
pub struct Replicas(Arc<State>);

struct State {
    redis: Redis,
    own: ReplicaId,
    heartbeat: Script,
    live: watch::Sender<u32>,
    /// The samples that were read last. The lock is held while they are read, so that one call serves all readers.
    samples: Mutex<Option<(Instant, Arc<[ReplicaSample]>)>>,
}

/// The activity of a replica, as it has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSample {
    /// The replica.
    pub replica: ReplicaId,
    /// What it has written: text that may be of another version of this program.
    pub text: String,
}

impl Replicas {
    /// The replicas that use this Redis with the same prefix; `own` is this one.
    #[must_use]
    pub fn new(redis: Redis, own: ReplicaId) -> Self {
        let heartbeat = Script::new(include_str!("heartbeat.lua"));
        Self(Arc::new(State { redis, own, heartbeat, live: watch::Sender::new(1), samples: Mutex::new(None) }))
    }

    /// The number of live replicas with this one, at least 1: as of the last heartbeat that Redis has answered.
    #[must_use]
    pub fn live(&self) -> u32 {
        *self.0.live.borrow()
    }

    /// Changes with [`Replicas::live`].
    #[must_use]
    pub fn live_changes(&self) -> watch::Receiver<u32> {
        self.0.live.subscribe()
    }

    /// Sends heartbeats with the current `sample` until `stop` is cancelled; then this replica is removed at once.
    /// Without Redis, the last number of live replicas stays. It also does not fall for two heartbeats after Redis has
    /// lost the entries, since shares of limits depend on it.
    pub async fn run(self, sample: watch::Receiver<String>, stop: CancellationToken) {
        let mut beats = interval(HEARTBEAT_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complete_at = Instant::now();
        let mut is_first = true;
        while stop.run_until_cancelled(beats.tick()).await.is_some() {
            let text = sample.borrow().clone();
            // A failure is counted and logged by the client.
            if let Ok((live, is_incomplete)) = self.beat(&text).await {
                // The first one of a replica is new to Redis, which has those of the others.
                if is_incomplete && !is_first {
                    complete_at = Instant::now() + 2 * HEARTBEAT_INTERVAL;
                }
                is_first = false;
                let least = if Instant::now() < complete_at { self.live() } else { 1 };
                let live = live.max(least);
                self.0.live.send_if_modified(|last| std::mem::replace(last, live) != live);
            }
        }
        let [replicas, samples] = self.keys();
        let own = self.0.own.as_str();
        let _ = self.0.redis.call_all::<()>(pipe().zrem(replicas, own).hdel(samples, own)).await;
    }

    /// The samples of all live replicas, at most a second old, in the order of their names.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn samples(&self) -> Result<Arc<[ReplicaSample]>, RedisError> {
        let mut last = self.0.samples.lock().await;
        if let Some((at, samples)) = &*last
            && at.elapsed() < MAX_SAMPLES_AGE
        {
            return Ok(Arc::clone(samples));
        }
        let [_, samples] = self.keys();
        let read: Vec<(String, String)> = self.0.redis.call(cmd("HGETALL").arg(samples)).await?;
        let valid = read.into_iter().filter(|(_, text)| (1..=MAX_SAMPLE_LEN).contains(&text.len()));
        let valid = valid.filter_map(|(name, text)| Some(ReplicaSample { replica: ReplicaId::parse(&name)?, text }));
        let mut valid: Vec<_> = valid.take(MAX_SAMPLES).collect();
        valid.sort_by(|one, other| one.replica.cmp(&other.replica));
        let samples: Arc<[_]> = valid.into();
        *last = Some((Instant::now(), Arc::clone(&samples)));
        Ok(samples)
    }

    /// Sends a heartbeat; returns the number of live replicas, and whether others may be missing.
    async fn beat(&self, text: &str) -> Result<(u32, bool), RedisError> {
        let text = if text.len() <= MAX_SAMPLE_LEN { text } else { "" };
        let [replicas, samples] = self.keys();
        let mut call = self.0.heartbeat.key(replicas);
        let live_for = u64::try_from(LIVE_FOR.as_millis()).unwrap_or(u64::MAX);
        call.key(samples).arg(self.0.own.as_str()).arg(text).arg(live_for).arg(MAX_SAMPLES);
        self.0.redis.run_script(&call).await
    }

    fn keys(&self) -> [String; 2] {
        ["replicas", "samples"].map(|name| self.0.redis.key(name))
    }
}
