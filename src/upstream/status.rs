//! The state of the targets, for the statistics API.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::health::Availability;
use super::routes::{Member, Route};
use super::table::Routes;

/// The state of one target of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// The model, as configured; `*` for the route of all names without a route of their own.
    pub model: String,
    /// The target's name as in logs and metrics: `host:port/path#model`.
    pub target: String,
    /// Whether it gets requests.
    pub state: TargetState,
    /// Requests in flight.
    pub in_flight: u32,
    /// Failures in a row. Not counted for a model's only target.
    pub failures: u32,
    /// Idle connections in the pool.
    pub idle_connections: usize,
}

/// Whether a target gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// It gets requests.
    Healthy,
    /// It gets no requests: it was ejected after failures, or paused after a rate limit.
    Ejected {
        /// The end of the ejection or pause.
        until: Instant,
    },
    /// The ejection is over; one request at a time probes whether the target has recovered.
    HalfOpen,
}

impl TargetState {
    /// The state's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "in",
            Self::Ejected { .. } => "out",
            Self::HalfOpen => "probing",
        }
    }
}

impl Routes {
    /// The state of every target, in the order of the configuration file; those of `*` at the end.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<TargetStatus> {
        let named = self.names().iter().filter_map(|name| self.find(name));
        named.chain(self.catch_all()).flat_map(|model| model.all().status(now)).collect()
    }
}

impl Route {
    fn status(&self, now: Instant) -> impl Iterator<Item = TargetStatus> {
        self.members.iter().map(move |member| TargetStatus {
            model: self.name.clone(),
            target: member.target.name().to_string(),
            state: member.state(now),
            in_flight: member.in_flight.load(Ordering::Relaxed),
            failures: member.health.failures(),
            idle_connections: member.target.idle_connections(),
        })
    }
}

impl Member {
    fn state(&self, now: Instant) -> TargetState {
        match self.health.availability(now) {
            Availability::Healthy => TargetState::Healthy,
            Availability::Ejected { until } if until > now => TargetState::Ejected { until },
            Availability::Ejected { .. } | Availability::HalfOpen => TargetState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Ejection, ModelConfig, UpstreamConfig};
    use crate::telemetry::metrics::Metrics;
    use crate::upstream::Failure;

    fn model(name: &str, ports: &[u16]) -> ModelConfig {
        let url = |port: &u16| format!("http://127.0.0.1:{port}/v1?code=secret").parse().unwrap();
        let upstream = |port: &u16| UpstreamConfig::new(url(port));
        let upstreams = ports.iter().map(upstream).collect();
        let ejection = Ejection { failures: 1, ..Ejection::default() };
        ModelConfig { ejection, ..ModelConfig::new(name.into(), upstreams) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_is_healthy_then_ejected_then_half_open_then_healthy() {
        let models = [model("*", &[1]), model("b", &[2]), model("a", &[3, 4])];
        let routes = Routes::new(&models, &Metrics::new()).unwrap();
        let names: Vec<_> = routes.status(Instant::now()).into_iter().map(|one| (one.model, one.target)).collect();
        let names: Vec<_> = names.iter().map(|(model, target)| (model.as_str(), target.as_str())).collect();
        let [two, three, four, one] =
            [(2, "#b"), (3, "#a"), (4, "#a"), (1, "")].map(|(port, model)| format!("127.0.0.1:{port}/v1{model}"));
        assert_eq!(names, [("b", &*two), ("a", &*three), ("a", &*four), ("*", &*one)]);
        let route = routes.find("a").unwrap().all();
        let third = || {
            let third = routes.status(Instant::now()).swap_remove(1);
            (third.state, third.in_flight, third.failures)
        };
        assert_eq!(third(), (TargetState::Healthy, 0, 0));
        let mut lease = route.lease(0, Instant::now());
        assert_eq!(third(), (TargetState::Healthy, 1, 0));
        lease.record_attempt_failure(&Failure::Closed, Instant::now());
        drop(lease);
        let until = Instant::now() + Duration::from_secs(10);
        assert_eq!(third(), (TargetState::Ejected { until }, 0, 1));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(third(), (TargetState::HalfOpen, 0, 1));
        let mut probe = route.lease(0, Instant::now());
        assert_eq!(third(), (TargetState::HalfOpen, 1, 1));
        probe.record_success();
        assert_eq!(third(), (TargetState::Healthy, 1, 0));
    }
}
