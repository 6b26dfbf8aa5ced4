//! Where petstream keeps its state: a file of its own, or a Postgres and a Redis as replicas share them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::servers::postgres::Cluster;
use test_support::servers::redis::Redis;
use tokio::runtime::Runtime;

use crate::result::Result;

/// An engine by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// SQLite, and limits of the process.
    Sqlite,
    /// Postgres, and limits that Redis shares.
    #[value(name = "postgres+redis")]
    PostgresRedis,
    /// The same, shared by three servers: for live events and commands.
    Replicas,
}

impl Engine {
    /// Whether it needs [`SharedEngines`].
    pub(crate) const fn is_shared(self) -> bool {
        !matches!(self, Self::Sqlite)
    }

    /// The number of servers.
    pub(crate) const fn servers(self) -> usize {
        if matches!(self, Self::Replicas) { 3 } else { 1 }
    }

    /// What is added to the name of a gateway.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::PostgresRedis => " postgres+redis",
            Self::Replicas => " replicas",
        }
    }
}

/// The databases of the engines that are shared, which all gateways of a measurement use; each has a database and names of its
/// own. They end with the last handle.
#[derive(Clone)]
pub(crate) struct SharedEngines(Arc<Inner>);

struct Inner {
    postgres: Cluster,
    redis: Redis,
    /// Runs the tasks of the two.
    runtime: Runtime,
    used: AtomicUsize,
}

impl fmt::Debug for SharedEngines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedEngines")
    }
}

impl SharedEngines {
    /// Starts both servers. Postgres makes commits durable, as in production.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let (postgres, redis) = runtime.block_on(async { (Cluster::start(&[]).await, Redis::start().await) });
        Ok(Self(Arc::new(Inner { postgres, redis, runtime, used: AtomicUsize::new(0) })))
    }

    /// The lines of a configuration that lead to an empty database, and to Redis under an unused prefix.
    pub(crate) fn configuration(&self) -> String {
        let Inner { postgres, redis, runtime, used } = &*self.0;
        let name = format!("bench_{}", used.fetch_add(1, Ordering::Relaxed));
        let database = runtime.block_on(postgres.create_database(&name));
        format!("database: '{database}'\nredis: {{url: '{}', prefix: {name}}}\n", redis.url())
    }
}
