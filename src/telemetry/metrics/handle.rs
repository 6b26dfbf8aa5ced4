//! The handle to all metrics, and what is not of a single model, route or target.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::counters::{Counter, CounterMap, Gauge, GaugeGuard, LabelMap, OTHER};
use super::leases::LeaseMetrics;
use super::model::ModelMetrics;
use super::redis::RedisMetrics;
use super::route::RouteMetrics;

/// Models with a label of their own.
const MAX_MODELS: usize = 256;
/// Routes with a label of their own.
pub(super) const MAX_ROUTES: usize = 64;
/// Pairs of limit and owner with a label of their own.
const MAX_REFUSALS: usize = 16;
/// Reasons of the HTTP engine with a label of their own.
const MAX_ENGINE_REFUSALS: usize = 8;

/// A handle to all metrics; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub(super) Arc<State>);

/// The metrics.
#[derive(Debug)]
pub(super) struct State {
    pub(super) routes: LabelMap<RouteMetrics>,
    pub(super) in_flight: Gauge,
    pub(super) refusals: CounterMap<(&'static str, &'static str), MAX_REFUSALS>,
    pub(super) engine_refusals: CounterMap<&'static str, MAX_ENGINE_REFUSALS>,
    pub(super) models: LabelMap<ModelMetrics>,
    /// None unless replicas share limits.
    pub(super) leases: OnceLock<Arc<LeaseMetrics>>,
    pub(super) usage_dropped: Counter,
    pub(super) usage_queue: Gauge,
    /// Whether the database can be used.
    pub(super) database_up: Gauge,
    /// Whether the configuration had no errors when it was read last.
    pub(super) configuration_valid: Gauge,
    /// Seconds since 1970 at which the configuration in force was read.
    pub(super) configuration_loaded: Gauge,
    pub(super) reloads_applied: Counter,
    pub(super) reloads_rejected: Counter,
    /// None without Redis.
    pub(super) redis: OnceLock<Arc<RedisMetrics>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            routes: LabelMap::new(MAX_ROUTES),
            in_flight: Gauge::default(),
            refusals: CounterMap::default(),
            engine_refusals: CounterMap::default(),
            models: LabelMap::new(MAX_MODELS),
            leases: OnceLock::new(),
            usage_dropped: Counter::default(),
            usage_queue: Gauge::default(),
            database_up: Gauge::default(),
            configuration_valid: Gauge::default(),
            configuration_loaded: Gauge::default(),
            reloads_applied: Counter::default(),
            reloads_rejected: Counter::default(),
            redis: OnceLock::new(),
        }
    }
}

impl Metrics {
    /// New metrics, all zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metrics of a model. `label` is its name in the configuration, which may be `*`, or the local model's, never
    /// a name from a client. Takes a lock: call it once, at the start. The first 256 labels have metrics of their own.
    #[must_use]
    pub fn model(&self, label: &str) -> Arc<ModelMetrics> {
        self.0.models.get(label)
    }

    /// Counts a request as in flight until the guard is dropped, which should happen at the end of the response body.
    pub fn request_begins(&self) -> GaugeGuard {
        self.0.in_flight.increment()
    }

    /// The metrics of the route with the path template `route`; none: of paths without a route. Takes a lock: call it
    /// once, at the start.
    #[must_use]
    pub fn route(&self, route: Option<&str>) -> Arc<RouteMetrics> {
        self.0.routes.get(route.unwrap_or(OTHER))
    }

    /// Counts a request that was refused by a limit, by the kind of limit and its owner.
    pub fn refused(&self, limit: &'static str, whose: &'static str) {
        self.0.refusals.counter((limit, whose)).add(1);
    }

    /// The metrics of limits that replicas share; exposed from the first call on.
    #[must_use]
    pub fn leases(&self) -> Arc<LeaseMetrics> {
        Arc::clone(self.0.leases.get_or_init(Arc::default))
    }

    /// Counts a request that the HTTP engine refused before it reached a route.
    pub fn refused_by_engine(&self, reason: &'static str) {
        self.0.engine_refusals.counter(reason).add(1);
    }

    /// Counts of [`Metrics::refused`], with their kind of limit and owner.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, &'static str, u64)> {
        let all = self.0.refusals.all();
        all.map(|(pair, count)| pair.map_or((OTHER, OTHER, count), |(limit, whose)| (limit, whose, count))).collect()
    }

    /// Records that a configuration is in force since `loaded_at`; `reloaded`: it was read while the server ran.
    pub fn configuration_accepted(&self, loaded_at: Timestamp, reloaded: bool) {
        self.0.configuration_valid.set(1);
        self.0.configuration_loaded.set(usize::try_from(loaded_at.as_second()).unwrap_or_default());
        self.0.reloads_applied.add(u64::from(reloaded));
    }

    /// Records that the configuration was read while the server ran, and had errors.
    pub fn configuration_rejected(&self) {
        self.0.configuration_valid.set(0);
        self.0.reloads_rejected.add(1);
    }

    /// The metrics of Redis, which are written from then on.
    #[must_use]
    pub fn redis(&self) -> Arc<RedisMetrics> {
        Arc::clone(self.0.redis.get_or_init(Arc::default))
    }

    /// Sets whether the database can be used.
    pub fn database(&self, is_up: bool) {
        self.0.database_up.set(usize::from(is_up));
    }

    /// Sets the number of usage records that wait to be written, and raises the number of those lost since the start.
    pub fn usage_records(&self, queued: usize, dropped: u64) {
        self.0.usage_queue.set(queued);
        self.0.usage_dropped.raise_to(dropped);
    }
}
