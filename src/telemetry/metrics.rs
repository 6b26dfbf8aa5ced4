//! Metrics for Prometheus: counters, gauges and histograms, without a lock on the path of a request.
//!
//! [`Metrics`] is the handle; `exposition` writes all of them as OpenMetrics text. Every label whose value comes from
//! outside is bounded: beyond the bound, values share the label `other`. Handles for models, routes and targets are
//! obtained once, at the start. A token touches nothing that threads share: each stream collects the times between its
//! chunks in an [`IntervalHistogram`], which is merged at most once a second and at the stream's end.

mod counters;
mod exposition;
mod handle;
mod histogram;
mod leases;
mod model;
mod redis;
mod route;
mod snapshot;
mod target;
#[cfg(test)]
mod tests;

pub use counters::GaugeGuard;
pub use handle::Metrics;
pub use histogram::IntervalHistogram;
pub use leases::LeaseMetrics;
pub use model::{FinishedCompletion, ModelMetrics, OperationMetrics};
pub use redis::RedisMetrics;
pub use route::RouteMetrics;
pub use snapshot::{Distribution, MetricsSnapshot};
pub use target::TargetMetrics;
