//! How the targets are, for people who watch.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::health::Standing;
use super::routes::{Member, Route, Routes};

/// One target of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// The model, as configured; `*` for the route that takes every other name.
    pub model: String,
    /// As in logs and metrics: `host:port/path#model`.
    pub target: String,
    /// Whether it is asked.
    pub state: TargetState,
    /// Requests to it now.
    pub in_flight: u32,
    /// How often it has failed in a row. Not counted for a model's only target.
    pub failures: u32,
    /// Connections that are kept for the next request.
    pub idle_connections: usize,
}

/// Whether a target is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// It is.
    In,
    /// It is left alone.
    Out {
        /// Until then.
        until: Instant,
    },
    /// Its time out is over: one request finds out whether it is well again.
    Probing,
}

impl TargetState {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out { .. } => "out",
            Self::Probing => "probing",
        }
    }
}

impl Routes {
    /// Every target, in the order of the file; those of `*` at the end.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<TargetStatus> {
        let named = self.names().iter().filter_map(|name| self.find(name));
        named.chain(self.other()).flat_map(|route| route.status(now)).collect()
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
        match self.health.standing(now) {
            Standing::In => TargetState::In,
            Standing::Out { until } if until > now => TargetState::Out { until },
            Standing::Out { .. } | Standing::Probe => TargetState::Probing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Ejection, ModelConfig, Retries, UpstreamConfig};
    use crate::telemetry::metrics::Metrics;
    use crate::upstream::Failure;

    fn model(name: &str, ports: &[u16]) -> ModelConfig {
        let upstream = |port: &u16| UpstreamConfig {
            base_url: format!("http://user:secret@127.0.0.1:{port}/v1").parse().unwrap(),
            api_key: None,
            model: None,
            ca_file: None,
            timeouts: crate::config::Timeouts::default(),
            usage: crate::config::AskUsage::default(),
            weight: std::num::NonZeroU32::MIN,
            priority: 0,
        };
        let upstreams = ports.iter().map(upstream).collect();
        let ejection = Ejection { failures: 1, ..Ejection::default() };
        ModelConfig { name: name.into(), upstreams, retries: Retries::default(), ejection }
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_is_in_then_out_then_probed_then_in() {
        let models = [model("*", &[1]), model("b", &[2]), model("a", &[3, 4])];
        let routes = Routes::new(&models, &Metrics::new()).unwrap();
        let names: Vec<_> = routes.status(Instant::now()).into_iter().map(|one| (one.model, one.target)).collect();
        let names: Vec<_> = names.iter().map(|(model, target)| (model.as_str(), target.as_str())).collect();
        let [two, three, four, one] =
            [(2, "#b"), (3, "#a"), (4, "#a"), (1, "")].map(|(port, model)| format!("127.0.0.1:{port}/v1{model}"));
        assert_eq!(names, [("b", &*two), ("a", &*three), ("a", &*four), ("*", &*one)]);
        let route = routes.find("a").unwrap();
        let third = || {
            let third = routes.status(Instant::now()).swap_remove(1);
            (third.state, third.in_flight, third.failures)
        };
        assert_eq!(third(), (TargetState::In, 0, 0));
        let mut lease = route.lease(0);
        assert_eq!(third(), (TargetState::In, 1, 0));
        lease.failed(&Failure::Closed);
        drop(lease);
        let until = Instant::now() + Duration::from_secs(10);
        assert_eq!(third(), (TargetState::Out { until }, 0, 1));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(third(), (TargetState::Probing, 0, 1));
        let mut probe = route.lease(0);
        assert_eq!(third(), (TargetState::Probing, 1, 1));
        probe.well();
        assert_eq!(third(), (TargetState::In, 1, 0));
    }
}
