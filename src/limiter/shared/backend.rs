//! Where the shared state is: Redis, or in tests a model of it.

use std::sync::Arc;

use redis::{FromRedisValue, Pipeline, Script, Value, cmd, pipe};

use super::exchange::{Exchange, Reply, SCRIPT, VERSION};
use crate::shared::redis::{Redis, RedisError};

/// Where the shared state is.
pub(super) enum Backend {
    Redis(Box<RedisBackend>),
    #[cfg(test)]
    Model(super::model_backend::ModelBackend),
}

/// The answer to one round trip.
#[derive(Debug)]
pub(super) struct Answer {
    /// When the data began, microseconds of Redis' clock; none: there is no data, or it was lost.
    pub(super) boot: Option<u64>,
    /// Redis' clock, microseconds.
    pub(super) now: u64,
    /// One for each exchange, in their order.
    pub(super) replies: Vec<Reply>,
}

impl Backend {
    /// Makes all exchanges in one round trip. `boot`: notes the time as the beginning of the data if there is none.
    pub(super) async fn exchange(
        &self,
        replica: &Arc<str>,
        boot: bool,
        exchanges: &[(&str, &Exchange)],
    ) -> Result<Answer, RedisError> {
        match self {
            Self::Redis(redis) => redis.exchange(replica, boot, exchanges).await,
            #[cfg(test)]
            Self::Model(model) => model.exchange(replica, boot, exchanges).await,
        }
    }
}

/// The shared state in Redis.
pub(super) struct RedisBackend {
    redis: Redis,
    script: Script,
    /// The key that holds when the data began.
    boot: String,
}

impl RedisBackend {
    pub(super) fn new(redis: Redis) -> Self {
        let boot = redis.key(&format!("limit:{VERSION}:boot"));
        Self { redis, script: Script::new(SCRIPT), boot }
    }

    async fn exchange(&self, replica: &str, boot: bool, exchanges: &[(&str, &Exchange)]) -> Result<Answer, RedisError> {
        if boot {
            // The time of Redis, by which all replicas judge the age.
            let (seconds, micros): (u64, u64) = self.redis.call(&cmd("TIME")).await?;
            let mut begin = cmd("SET");
            begin.arg(&self.boot).arg(seconds * 1_000_000 + micros).arg("NX");
            let _: Value = self.redis.call(&begin).await?;
        }
        let pipeline = self.pipeline(replica, exchanges);
        let values: Vec<Value> = match self.redis.call_all(&pipeline).await {
            Err(RedisError::Answered(_)) if !exchanges.is_empty() => {
                // Most likely Redis does not know the script (any more). What was executed nevertheless is recognized by
                // its number.
                let mut load = cmd("SCRIPT");
                load.arg("LOAD").arg(SCRIPT);
                let _: Value = self.redis.call(&load).await?;
                self.redis.call_all(&pipeline).await?
            }
            answer => answer?,
        };
        parse(&values, exchanges.len()).ok_or_else(|| RedisError::Answered("another type than expected".to_owned()))
    }

    fn pipeline(&self, replica: &str, exchanges: &[(&str, &Exchange)]) -> Pipeline {
        let mut pipeline = pipe();
        pipeline.cmd("GET").arg(&self.boot).cmd("TIME");
        for (name, exchange) in exchanges {
            pipeline.cmd("EVALSHA").arg(self.script.get_hash()).arg(1).arg(self.redis.key(name));
            for argument in exchange.arguments(replica) {
                pipeline.arg(argument);
            }
        }
        pipeline
    }
}

fn parse(values: &[Value], exchanges: usize) -> Option<Answer> {
    let (boot, rest) = values.split_first()?;
    let (time, replies) = rest.split_first()?;
    if replies.len() != exchanges {
        return None;
    }
    let boot = Option::<u64>::from_redis_value_ref(boot).ok()?;
    let (seconds, micros) = <(u64, u64)>::from_redis_value_ref(time).ok()?;
    let reply =
        |value| <(i64, i64, String, i64)>::from_redis_value_ref(value).ok().and_then(|reply| Reply::new(&reply));
    let replies = replies.iter().map(reply).collect::<Option<_>>()?;
    Some(Answer { boot, now: seconds * 1_000_000 + micros, replies })
}
