//! What is measured while the server runs, for Prometheus.
//!
//! Everything that carries a label from outside is bounded: beyond the bound, values share the label `other`. Handles of
//! models and targets are asked for once, at the start. A token touches nothing shared: a stream collects the times
//! between its chunks in [`IntervalHistogram`], which are added at most once a second and when it ends.

mod count;
mod exposition;
mod histogram;
mod model;
mod reading;
mod route;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Method;
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use count::{ByName, Counter, Gauge, OTHER, Slots};

pub use count::GaugeGuard;
pub use histogram::IntervalHistogram;
pub use model::{Ended, ModelMetrics};
pub use reading::{Distribution, Reading};
pub use route::RouteMetrics;
pub use target::TargetMetrics;

/// Most models that are told apart.
const MAX_MODELS: usize = 256;
/// Most routes that are told apart.
const MAX_ROUTES: usize = 64;
/// Most kinds of refusals that are told apart.
const MAX_REFUSALS: usize = 16;

/// Most reasons of the HTTP engine to refuse a request that are told apart.
const MAX_ENGINE_REFUSALS: usize = 8;

/// A handle to everything that is measured; clones are the same metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<State>);

/// What is measured.
#[derive(Debug)]
struct State {
    routes: ByName<RouteMetrics>,
    in_flight: Gauge,
    refusals: Slots<(&'static str, &'static str), MAX_REFUSALS>,
    engine_refusals: Slots<&'static str, MAX_ENGINE_REFUSALS>,
    models: ByName<ModelMetrics>,
    usage_dropped: Counter,
    usage_queue: Gauge,
}

impl Default for State {
    fn default() -> Self {
        Self {
            routes: ByName::new(MAX_ROUTES),
            in_flight: Gauge::default(),
            refusals: Slots::default(),
            engine_refusals: Slots::default(),
            models: ByName::new(MAX_MODELS),
            usage_dropped: Counter::default(),
            usage_queue: Gauge::default(),
        }
    }
}

impl Metrics {
    /// The media type of [`Metrics::encode`].
    pub const MEDIA_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Metrics that are all zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metrics of the model `label`: its name in the configuration, which may be `*`, or the local model's; never
    /// what a client wrote. Ask for it once, at the start. Each of the first 256 has its own.
    #[must_use]
    pub fn model(&self, label: &str) -> Arc<ModelMetrics> {
        self.0.models.get(label)
    }

    /// A request has arrived. It is in flight until the guard is dropped, which belongs to the body's end.
    pub fn request_begins(&self) -> GaugeGuard {
        self.0.in_flight.hold()
    }

    /// The metrics of the route `template`. Ask for it once, at the start, where a route is known beforehand.
    #[must_use]
    pub fn route(&self, template: &str) -> Arc<RouteMetrics> {
        self.0.routes.get(template)
    }

    /// A request to `route` has ended: the template that matched, none where none did. 499 is the status of one whose
    /// client left.
    pub fn request_ended(&self, route: Option<&str>, method: &Method, status: u16) {
        self.route(route.unwrap_or(OTHER)).count(method, status);
    }

    /// A limit has refused a request: which kind of limit, and whose.
    pub fn refused(&self, limit: &'static str, whose: &'static str) {
        self.0.refusals.of((limit, whose)).add(1);
    }

    /// The HTTP engine has refused a request by itself, for this reason.
    pub fn refused_by_engine(&self, reason: &'static str) {
        self.0.engine_refusals.of(reason).add(1);
    }

    /// How often limits have refused a request: which kind of limit, whose, how often; the same words as given to
    /// [`Metrics::refused`].
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, &'static str, u64)> {
        let all = self.0.refusals.all();
        all.map(|(pair, count)| pair.map_or((OTHER, OTHER, count), |(limit, whose)| (limit, whose, count))).collect()
    }

    /// So many usage records wait to be written, and so many were lost since the start.
    pub fn usage_records(&self, queued: usize, dropped: u64) {
        self.0.usage_queue.set(queued);
        self.0.usage_dropped.raise_to(dropped);
    }

    /// All of it as OpenMetrics text, which Prometheus reads; of type [`Metrics::MEDIA_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut registry = Registry::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("petstream_build", "The program that is running", Info::new(version.to_vec()));
        registry.register_collector(Box::new(Arc::clone(&self.0)));
        let mut page = String::with_capacity(16 << 10);
        if text::encode(&mut page, &registry).is_err() {
            // Writing to a string does not fail.
            tracing::error!("the metrics can't be written");
        }
        page
    }
}
