//! The start of shared limits.

use std::sync::Arc;

use super::super::clock::Clock;
use super::backend::{Backend, RedisBackend};
use super::exchanger::ExchangeTask;
use super::shared_limits::SharedLimits;
use crate::config::OnFailure;
use crate::shared::ReplicaId;
use crate::shared::redis::Redis;
use crate::telemetry::metrics::LeaseMetrics;

impl SharedLimits {
    /// Limits in `redis`; they work while the task runs.
    #[must_use]
    pub fn open(
        redis: Redis,
        replica: &ReplicaId,
        on_failure: OnFailure,
        clock: Clock,
        metrics: Arc<LeaseMetrics>,
    ) -> (Self, ExchangeTask) {
        let backend = Backend::Redis(Box::new(RedisBackend::new(redis)));
        Self::with_backend(backend, replica.as_str().into(), on_failure, clock, metrics)
    }

    pub(super) fn with_backend(
        backend: Backend,
        replica: Arc<str>,
        on_failure: OnFailure,
        clock: Clock,
        metrics: Arc<LeaseMetrics>,
    ) -> (Self, ExchangeTask) {
        let (limits, queue) = Self::new(backend, replica, on_failure, clock, metrics);
        (limits.clone(), ExchangeTask::new(limits, queue))
    }
}
