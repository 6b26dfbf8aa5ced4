//! Replicas, what they are connected to, and the bucket that they must not exceed together.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::backend::Backend;
use super::super::model_backend::{Fault, ModelBackend, ModelServer};
use super::super::shared_limits::SharedLimits;
use crate::config::{OnFailure, RateLimits};
use crate::limiter::level::{Level, units};
use crate::limiter::{Admission, Allotment, Blocked, Clock, Limiter, RateLimited};
use crate::telemetry::metrics::Metrics;

/// Numbers from a seed (SplitMix64).
pub(super) struct Seed(pub(super) u64);

impl Seed {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

pub(super) fn limits(requests: u32, tokens: u64, streams: u32) -> RateLimits {
    RateLimits {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU64::new(tokens),
        concurrent_streams: NonZeroU32::new(streams),
    }
}

/// One replica.
#[derive(Clone)]
pub(super) struct Replica {
    pub(super) limiter: Limiter,
    pub(super) limits: SharedLimits,
    fault: Arc<Mutex<Fault>>,
    task: Arc<JoinHandle<()>>,
}

impl Replica {
    pub(super) fn fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Ends the process: what it holds is never given back.
    pub(super) fn kill(&self) {
        self.task.abort();
    }

    /// One request of `key`; no request waits longer than 50 ms.
    pub(super) async fn request(&self, key: &str, limits: RateLimits) -> Result<Admission, RateLimited> {
        let began = Instant::now();
        let answer = settled(self.limiter.request(&key.into(), limits)).await;
        assert!(began.elapsed() <= Duration::from_millis(51), "{:?}", began.elapsed());
        answer
    }
}

pub(super) async fn take(admission: &Admission, stream: bool, tokens: u64) -> Result<Allotment, RateLimited> {
    settled(admission.take(stream, tokens)).await
}

async fn settled<T>(attempt: Result<T, Blocked<T>>) -> Result<T, RateLimited> {
    match attempt {
        Ok(value) => Ok(value),
        Err(Blocked::Limited(limited)) => Err(limited),
        Err(Blocked::Pending(value)) => value.await,
    }
}

/// All replicas and the model.
pub(super) struct World {
    pub(super) server: Arc<ModelServer>,
    pub(super) replicas: Vec<Replica>,
    /// Of all replicas.
    pub(super) metrics: Metrics,
}

impl World {
    /// `replicas` that share limits since a while.
    pub(super) async fn new(replicas: usize, total: RateLimits, on_failure: OnFailure) -> Self {
        let server = Arc::new(ModelServer::new(Duration::from_millis(1)));
        let mut world = Self { server, replicas: Vec::new(), metrics: Metrics::new() };
        for _ in 0..replicas {
            world.add(total, on_failure).await;
        }
        world.replicas.iter().for_each(|replica| replica.limits.set_replicas(replicas as u32));
        world
    }

    pub(super) async fn add(&mut self, total: RateLimits, on_failure: OnFailure) -> Replica {
        let fault = Arc::new(Mutex::new(Fault::None));
        let model = ModelBackend { server: Arc::clone(&self.server), fault: Arc::clone(&fault) };
        let name = format!("replica-{}", self.replicas.len());
        let clock = Clock::real();
        let (limits, task) = SharedLimits::with_backend(
            Backend::Model(model),
            name.into(),
            on_failure,
            clock.clone(),
            self.metrics.leases(),
        );
        let task = Arc::new(tokio::spawn(task.run(CancellationToken::new())));
        limits.ready().await;
        let limiter = Limiter::shared(total, clock, limits.clone());
        let replica = Replica { limiter, limits, fault, task };
        self.replicas.push(replica.clone());
        replica
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.replicas.iter().for_each(|replica| replica.fault(fault));
    }
}

/// One bucket for everything that is admitted, and by how much it was overdrawn at most.
pub(super) struct Ideal {
    limit: u64,
    began: Instant,
    state: Mutex<(Level, i128)>,
    admitted: AtomicUsize,
}

impl Ideal {
    pub(super) fn full(limit: u64) -> Self {
        Self { limit, began: Instant::now(), state: Mutex::default(), admitted: AtomicUsize::new(0) }
    }

    pub(super) fn spend(&self, tokens: u64) {
        let mut state = self.state.lock().unwrap();
        let (level, over) = &mut *state;
        level.refill(self.limit, u64::try_from(self.began.elapsed().as_nanos()).unwrap());
        level.used += units(tokens);
        *over = (*over).max(level.used - units(self.limit));
        self.admitted.fetch_add(1, Ordering::Relaxed);
    }

    /// What was spent beyond the limit at the worst time, whole tokens.
    pub(super) fn over(&self) -> u64 {
        let over = self.state.lock().unwrap().1;
        u64::try_from(over.max(0) / units(1)).unwrap() + u64::from(over > 0 && over % units(1) != 0)
    }

    pub(super) fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }
}
