//! The table of routes: which model is served where, and which of several targets is asked.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::backoff;
use super::budget::Budget;
use super::failure::Failure;
use super::health::{Health, Standing};
use super::target::{self, Target};
use crate::config::{ModelConfig, Retries, UpstreamConfig};
use crate::http::client::TlsError;
use crate::telemetry::metrics::{GaugeGuard, Metrics, ModelMetrics, TargetMetrics};

/// A model and the targets that serve it.
pub struct Route {
    /// What clients ask for; `*` for the route that takes every other name.
    pub name: String,
    pub(super) members: Vec<Member>,
    rules: Retries,
    budget: Budget,
    metrics: Arc<ModelMetrics>,
    /// Smooth weighted round-robin among equals: what each member has coming to it.
    // std Mutex: never held across .await
    turns: Mutex<Vec<i64>>,
}

pub(super) struct Member {
    pub(super) target: Arc<Target>,
    weight: NonZeroU32,
    priority: u32,
    pub(super) in_flight: AtomicU32,
    pub(super) health: Health,
    metrics: Arc<TargetMetrics>,
    /// Held while it is ejected, for the gauge.
    // std Mutex: never held across .await
    ejected: Mutex<Option<GaugeGuard>>,
}

/// Which member comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// One that is in.
    In(usize),
    /// All are out; this one is due back first.
    Soonest(usize),
}

/// A target that is being asked; counts as in flight until it is dropped.
pub struct Lease {
    route: Arc<Route>,
    member: usize,
    began: Instant,
    probe: bool,
}

impl Route {
    /// A route as configured.
    ///
    /// # Errors
    /// [`TlsError`] of the first target whose authorities can't be read.
    pub fn new(model: &ModelConfig, metrics: Arc<ModelMetrics>) -> Result<Self, TlsError> {
        let member = |(upstream, name): (&UpstreamConfig, Arc<str>)| {
            let target = Target::new(upstream, name)?;
            let health = Health::new(model.ejection);
            let (weight, priority) = (upstream.weight, upstream.priority);
            let metrics = metrics.target(target.name());
            let (in_flight, ejected) = (AtomicU32::new(0), Mutex::default());
            Ok(Member { target, weight, priority, in_flight, health, metrics, ejected })
        };
        let members = model.upstreams.iter().zip(target::names(model)).map(member).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name: model.name.clone(),
            turns: Mutex::new(vec![0; members.len()]),
            members,
            rules: model.retries,
            budget: Budget::new(model.retries),
            metrics,
        })
    }

    /// Its targets, in the order of the file.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.members.iter().map(|member| &member.target)
    }

    /// Its metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<ModelMetrics> {
        &self.metrics
    }

    /// How often a request may be tried, the first time included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.rules.attempts.get()
    }

    /// How often it may come back to targets where it has failed.
    #[must_use]
    pub const fn same_target(&self) -> u32 {
        self.rules.same_target
    }

    /// How long it waits before it does so for the `nth` time, the first being 0. A random time.
    #[must_use]
    pub fn backoff(&self, nth: u32) -> Duration {
        backoff(self.rules.backoff, nth)
    }

    /// How long `failure`'s target itself wants to be left alone before the same request comes back; none: it must not.
    #[must_use]
    pub fn same_target_after(&self, failure: &Failure) -> Option<Duration> {
        failure.same_target_after(self.rules.max_retry_after)
    }

    /// The target of a member.
    #[must_use]
    pub fn target(&self, member: usize) -> &Arc<Target> {
        &self.members[member].target
    }

    /// Whether there is a member that is in and not among those `tried`.
    #[must_use]
    pub fn has_another(&self, tried: &[usize]) -> bool {
        let now = Instant::now();
        let is_in = |member: &Member| !matches!(member.health.standing(now), Standing::Out { .. });
        self.members.iter().enumerate().any(|(index, member)| !tried.contains(&index) && is_in(member))
    }

    /// Whether a member will be in after a `wait`, as far as is known now.
    #[must_use]
    pub fn is_in_after(&self, member: usize, wait: Duration) -> bool {
        let now = Instant::now();
        self.due(member, now) <= now + wait
    }

    /// A request came: it pays its share into the retry budget.
    pub fn deposit(&self) {
        self.budget.deposit();
    }

    /// Whether the retry budget has one more attempt in it, which is taken out. Asked only for what adds load: an attempt
    /// after one that did no work adds none (`Failure::is_free_elsewhere`).
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.budget.withdraw()
    }

    /// The member to ask next, leaving out those `tried`: of the lowest tier that has one that is in, the one that is to
    /// be probed, or else the one with the least in flight for its weight; equals take turns by weight. A route's only
    /// member is always in.
    #[must_use]
    pub fn pick(&self, tried: &[usize]) -> Option<Pick> {
        if self.members.len() == 1 {
            return tried.is_empty().then_some(Pick::In(0));
        }
        let now = Instant::now();
        let open = |index: &usize| !tried.contains(index);
        let fit = |index: &usize| !matches!(self.members[*index].health.standing(now), Standing::Out { .. });
        let all: Vec<usize> = (0..self.members.len()).filter(open).collect();
        let within: Vec<usize> = all.iter().copied().filter(fit).collect();
        let Some(tier) = within.iter().map(|index| self.members[*index].priority).min() else {
            let soonest = all.into_iter().min_by_key(|index| self.due(*index, now))?;
            return Some(Pick::Soonest(soonest));
        };
        let tier: Vec<usize> = within.into_iter().filter(|index| self.members[*index].priority == tier).collect();
        // Before any other: with few requests its turn would come late, and each of them may fail over.
        let probe = tier.iter().find(|index| self.members[**index].health.standing(now) == Standing::Probe);
        probe.copied().or_else(|| self.least_loaded(&tier)).map(Pick::In)
    }

    fn least_loaded(&self, tier: &[usize]) -> Option<usize> {
        // In flight by weight, compared without division.
        let load = |index: usize| {
            let member = &self.members[index];
            (u64::from(member.in_flight.load(Ordering::Relaxed)), u64::from(member.weight.get()))
        };
        let less = |one: usize, other: usize| {
            let ((a, wa), (b, wb)) = (load(one), load(other));
            (a * wb).cmp(&(b * wa))
        };
        let least = tier.iter().copied().min_by(|one, other| less(*one, *other))?;
        let equals: Vec<usize> = tier.iter().copied().filter(|index| less(*index, least).is_eq()).collect();
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = |index: usize| i64::from(self.members[index].weight.get());
        let total: i64 = equals.iter().map(|index| weight(*index)).sum();
        for index in &equals {
            turns[*index] += weight(*index);
        }
        let next = equals.into_iter().max_by_key(|index| (turns[*index], std::cmp::Reverse(*index)))?;
        turns[next] -= total;
        Some(next)
    }

    fn due(&self, index: usize, now: Instant) -> Instant {
        match self.members[index].health.standing(now) {
            Standing::Out { until } => until,
            Standing::In | Standing::Probe => now,
        }
    }

    /// When the first member is due back; nothing while one is in.
    #[must_use]
    pub fn due_back(&self) -> Duration {
        let now = Instant::now();
        let soonest = (0..self.members.len()).map(|index| self.due(index, now)).min();
        soonest.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// Begins to ask a member.
    #[must_use]
    pub fn lease(self: &Arc<Self>, member: usize) -> Lease {
        let chosen = &self.members[member];
        chosen.in_flight.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        Lease { route: Arc::clone(self), member, began, probe: chosen.health.begin(began) }
    }
}

impl Member {
    /// It is ejected no more.
    fn is_back(&self) {
        *self.ejected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Lease {
    /// The target.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.chosen().target
    }

    /// It began to answer. That brings a target back which was probed: others need not wait for the end of a stream.
    pub fn answered(&mut self) {
        self.chosen().metrics.attempt(TargetMetrics::OK);
        if std::mem::take(&mut self.probe) {
            self.chosen().health.back();
            self.chosen().is_back();
            tracing::info!(upstream = &**self.target().name(), "back");
        }
    }

    /// It answered as it should, to the end. Not said at the first event: a target that begins every answer and ends
    /// none is not well.
    pub fn well(&mut self) {
        self.probe = false;
        if self.chosen().health.well(self.began) {
            self.chosen().is_back();
        }
    }

    /// It failed before its first event.
    pub fn failed(&mut self, failure: &Failure) {
        self.chosen().metrics.attempt(failure.reason());
        self.broke(failure);
    }

    /// It failed, perhaps in the middle of its answer. Remembered only where another target can take its place.
    pub fn broke(&mut self, failure: &Failure) {
        if self.route.members.len() == 1 {
            return;
        }
        self.probe = false;
        let (now, chosen) = (Instant::now(), self.chosen());
        let health = &chosen.health;
        match failure.retry_after() {
            Some(time) => health.wait(now, Some(time)),
            None if failure.is_rate_limit() => health.wait(now, None),
            None if failure.is_the_targets_fault() => {
                if health.failed(now) {
                    tracing::warn!(upstream = &**self.target().name(), reason = failure.reason(), "ejected");
                    *chosen.ejected.lock().unwrap_or_else(PoisonError::into_inner) = Some(chosen.metrics.ejected());
                }
            }
            // It refused what the client asked for: that says nothing of its health.
            None => health.probe_lost(),
        }
    }

    fn chosen(&self) -> &Member {
        &self.route.members[self.member]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.chosen().in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.probe {
            self.chosen().health.probe_lost();
        }
    }
}

/// All routes.
#[derive(Default)]
pub struct Routes {
    by_name: HashMap<String, Arc<Route>>,
    other: Option<Arc<Route>>,
    /// Configured names, in the order of the file.
    names: Vec<String>,
}

impl Routes {
    /// Builds the table.
    ///
    /// # Errors
    /// [`TlsError`] of the first target whose authorities can't be read.
    pub fn new(models: &[ModelConfig], metrics: &Metrics) -> Result<Self, TlsError> {
        let mut routes = Self::default();
        for model in models {
            let route = Arc::new(Route::new(model, metrics.model(&model.name))?);
            if model.name == "*" {
                routes.other = Some(route);
            } else {
                routes.names.push(model.name.clone());
                routes.by_name.insert(model.name.clone(), route);
            }
        }
        Ok(routes)
    }

    /// Where `model` is served, if anywhere.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<&Arc<Route>> {
        self.by_name.get(model).or(self.other.as_ref())
    }

    /// The configured names, in the order of the file, without `*`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The route that takes every other name.
    #[must_use]
    pub const fn other(&self) -> Option<&Arc<Route>> {
        self.other.as_ref()
    }

    /// Every target of every route.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.by_name.values().chain(&self.other).flat_map(|route| route.targets())
    }
}

#[cfg(test)]
mod tests;
