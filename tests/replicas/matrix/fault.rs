//! The faults that are drawn, and their bounds.

use std::time::Duration;

use super::{Engine, REPLICAS};
use crate::load::LIMIT;

/// One fault. Those of a replica hit one that is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// Stopped as for a restart, until all replicas have noticed it.
    PostgresRestart,
    /// All processes of it killed.
    PostgresKill,
    /// It stands still, for a time in which nothing gives it up.
    PostgresStall,
    /// All connections for commit notifications closed.
    NotificationsLost,
    ReplicaKill,
    /// A replica stands still (SIGSTOP), longer than a lock is kept for it.
    ReplicaPause,
    /// Stopped with SIGTERM, and started.
    ReplicaRestart,
    /// Restarted with its data.
    RedisRestart,
    /// Away until all replicas have noticed it, then there without data.
    RedisRestartEmpty,
    RedisFlush,
    RedisScriptFlush,
    RedisStall,
    /// Answers of Redis do not arrive.
    RedisOneWay,
    /// It has no memory left, and refuses the script (OOM).
    RedisFull,
    /// It is a replica of another Redis that is not there (READONLY), as after a failover.
    RedisReadOnly,
    /// One replica does not reach Redis.
    RedisCutOff,
}

use Fault::{
    NotificationsLost, PostgresKill, PostgresRestart, PostgresStall, RedisCutOff, RedisFlush, RedisFull, RedisOneWay,
    RedisReadOnly, RedisRestart, RedisRestartEmpty, RedisScriptFlush, RedisStall, ReplicaKill, ReplicaPause,
    ReplicaRestart,
};

/// Those of all engines.
const ALL: [Fault; 7] =
    [PostgresRestart, PostgresKill, PostgresStall, NotificationsLost, ReplicaKill, ReplicaPause, ReplicaRestart];
const OF_REDIS: [Fault; 9] = [
    RedisRestart,
    RedisRestartEmpty,
    RedisFlush,
    RedisScriptFlush,
    RedisStall,
    RedisOneWay,
    RedisFull,
    RedisReadOnly,
    RedisCutOff,
];

/// Longest time until a change on one replica is seen on another: the poll, and as much for a busy machine.
pub(super) const EVENTS: Duration = Duration::from_secs(2);
/// Longest time for a completion at a replica that is not hit itself.
pub(super) const COMPLETIONS: Duration = Duration::from_secs(2);

impl Fault {
    pub(super) fn all(engine: Engine) -> Vec<Self> {
        match engine {
            Engine::Postgres => ALL.to_vec(),
            Engine::PostgresAndRedis => ALL.into_iter().chain(OF_REDIS).collect(),
        }
    }

    /// Whether it hits a replica itself: requests to it are lost.
    pub(super) const fn is_of_replica(self) -> bool {
        matches!(self, ReplicaKill | ReplicaPause | ReplicaRestart)
    }

    /// Longest time until each replica acknowledges a change, from the end of a fault of Postgres, or from the begin of
    /// another one at the replicas that it does not hit.
    pub(super) const fn longest_wait(self) -> Duration {
        match self {
            // It may hold the lock of all changes for 3 s, and then once more for another change of its, which waited for
            // the lock; further ones have waited for too long by then. A second is for a busy machine.
            ReplicaPause => Duration::from_secs(7),
            _ => Duration::from_secs(5),
        }
    }

    /// How many requests are admitted beyond the limit at most.
    pub(super) fn most_over(self) -> f64 {
        let (limit, rate) = (f64::from(LIMIT), f64::from(LIMIT) / 60.0);
        // All replicas are busy, and know what was used.
        let away = limit / 8.0 + rate;
        match self {
            RedisRestart | RedisStall | RedisOneWay | RedisFull | RedisReadOnly | RedisFlush => away,
            // Away, and then without its data.
            RedisRestartEmpty => 2.0 * away,
            RedisCutOff => share(),
            _ => 0.0,
        }
    }
}

/// What a replica admits alone at most.
pub(super) fn share() -> f64 {
    f64::from(LIMIT) / REPLICAS as f64
}
