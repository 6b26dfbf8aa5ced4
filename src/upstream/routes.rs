//! A route: the targets of a model, and the choice among them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::affinity::{Candidate, SessionKey};
use super::backoff::backoff;
use super::budget::RetryBudget;
use super::failure::Failure;
use super::health::{Availability, Health};
use super::target::{self, Target};
use crate::config::{Affinity, Ejection, ModelConfig, Retries, UpstreamConfig};
use crate::http::client::TlsError;
use crate::telemetry::metrics::{GaugeGuard, ModelMetrics, TargetMetrics};
use crate::wire::operation::{Operation, Operations};

/// A model and the targets that serve it, or those of them that serve one operation.
pub struct Route {
    /// The model's name in requests; `*` for the route of all names without a route of their own.
    pub name: String,
    pub(super) members: Vec<Member>,
    rules: Retries,
    affinity: Affinity,
    budget: RetryBudget,
    metrics: Arc<ModelMetrics>,
    /// Smooth weighted round-robin among equally loaded members: the current weight of each.
    // std Mutex: never held across .await
    current_weights: Mutex<Vec<i64>>,
}

#[derive(Clone)]
pub(super) struct Member {
    pub(super) target: Arc<Target>,
    /// The operations that it serves.
    apis: Operations,
    weight: NonZeroU32,
    priority: u32,
    pub(super) in_flight: Arc<AtomicU32>,
    pub(super) health: Health,
    metrics: Arc<TargetMetrics>,
    /// Counts the member in the gauge of ejected targets while it is ejected.
    // std Mutex: never held across .await
    ejected_gauge: Arc<Mutex<Option<GaugeGuard>>>,
}

/// The member to send a request to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// A healthy member, or a half-open one.
    Available(usize),
    /// All members are ejected; this one's ejection ends first.
    AllEjected(usize),
}

/// A request to a target. It counts as in flight until the lease is dropped.
pub struct Lease {
    route: Arc<Route>,
    index: usize,
    started_at: Instant,
    /// The request is the probe of a half-open target, and has no result yet.
    is_probe: bool,
}

impl Route {
    /// Creates the route of a model.
    ///
    /// # Errors
    /// [`TlsError`] of the first target whose certificate authorities can't be read.
    pub fn new(model: &ModelConfig, metrics: Arc<ModelMetrics>) -> Result<Self, TlsError> {
        Self::following(None, model, metrics)
    }

    /// As [`Route::new`], with the retry budget of the route before it, and the health, the requests in flight and the
    /// connections of each target that stays.
    ///
    /// # Errors
    /// As [`Route::new`].
    pub(super) fn following(
        previous: Option<&Self>,
        model: &ModelConfig,
        metrics: Arc<ModelMetrics>,
    ) -> Result<Self, TlsError> {
        let member = |(upstream, name): (&UpstreamConfig, Arc<str>)| {
            let mut known = previous.iter().flat_map(|route| &route.members);
            match known.find(|member| member.target.name() == &name && member.target.has_identity(upstream)) {
                Some(known) => known.following(upstream, model.ejection),
                None => Member::new(upstream, name, model.ejection, &metrics),
            }
        };
        let members =
            model.upstreams.iter().zip(target::target_names(model)).map(member).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name: model.name.clone(),
            current_weights: Mutex::new(vec![0; members.len()]),
            members,
            rules: model.retries,
            affinity: model.affinity,
            budget: previous
                .map_or_else(|| RetryBudget::new(model.retries), |route| route.budget.with_rules(model.retries)),
            metrics,
        })
    }

    /// The route of the members that serve `operation`: this one if all do, none if no one does. It shares their load,
    /// health and connections, and the retry budget.
    pub(super) fn serving(self: &Arc<Self>, operation: Operation) -> Option<Arc<Self>> {
        let members: Vec<_> = self.members.iter().filter(|member| member.apis.contains(operation)).cloned().collect();
        if members.is_empty() || members.len() == self.members.len() {
            return (!members.is_empty()).then(|| Arc::clone(self));
        }
        Some(Arc::new(Self {
            name: self.name.clone(),
            current_weights: Mutex::new(vec![0; members.len()]),
            members,
            rules: self.rules,
            affinity: self.affinity,
            budget: self.budget.with_rules(self.rules),
            metrics: Arc::clone(&self.metrics),
        }))
    }

    /// The targets, in the order of the configuration file.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.members.iter().map(|member| &member.target)
    }

    /// The metrics of the model.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<ModelMetrics> {
        &self.metrics
    }

    /// Most attempts of one request, the first one included.
    #[must_use]
    pub const fn max_attempts(&self) -> u32 {
        self.rules.attempts.get()
    }

    /// Most attempts of one request at targets where it has failed before.
    #[must_use]
    pub const fn max_same_target(&self) -> u32 {
        self.rules.same_target
    }

    /// The wait before the `nth` of these attempts, counted from 0. It is random.
    #[must_use]
    pub fn backoff(&self, nth: u32) -> Duration {
        backoff(self.rules.backoff, nth)
    }

    /// The wait that `failure`'s target asked for before the same request may be sent to it again. `None`: it must not
    /// be.
    #[must_use]
    pub fn same_target_delay(&self, failure: &Failure) -> Option<Duration> {
        failure.same_target_delay(self.rules.max_retry_after)
    }

    /// The target of a member, by its index.
    #[must_use]
    pub fn target(&self, member: usize) -> &Arc<Target> {
        &self.members[member].target
    }

    /// Whether [`Route::pick`] uses the session of a request: some tier has a choice.
    #[must_use]
    pub fn has_affinity(&self) -> bool {
        let has_equal =
            |(at, member): (usize, &Member)| self.members[..at].iter().any(|other| other.priority == member.priority);
        self.affinity == Affinity::Auto && self.members.iter().enumerate().any(has_equal)
    }

    /// Whether a member that is not in `tried` is available `now`.
    #[must_use]
    pub fn has_untried(&self, tried: &[usize], now: Instant) -> bool {
        self.members.iter().enumerate().any(|(index, member)| !tried.contains(&index) && member.is_available(now))
    }

    /// Whether a member will be available `wait` after `now`, as far as is known.
    #[must_use]
    pub fn is_available_after(&self, member: usize, wait: Duration, now: Instant) -> bool {
        self.available_at(member, now) <= now + wait
    }

    /// Adds the share of one request, made `now`, to the retry budget.
    pub fn deposit(&self, now: Instant) {
        self.budget.deposit(now);
    }

    /// Takes one attempt out of the retry budget; false if the budget is used up. Needed only for attempts that add
    /// load: an attempt after one that did no work adds none ([`Failure::is_free_elsewhere`]).
    #[must_use]
    pub fn withdraw(&self, now: Instant) -> bool {
        self.budget.withdraw(now)
    }

    /// Chooses the next member as of `now`, none of those in `tried`. The first tier (the lowest priority) with an
    /// available member is used: its half-open member, or else the one that `session` prefers; without a session the
    /// member with the fewest requests in flight for its weight, equally loaded members taking turns by weight. A
    /// route's only member is always available.
    #[must_use]
    pub fn pick(&self, tried: &[usize], session: Option<SessionKey>, now: Instant) -> Option<Pick> {
        if self.members.len() == 1 {
            return tried.is_empty().then_some(Pick::Available(0));
        }
        let is_untried = |index: &usize| !tried.contains(index);
        let is_available = |index: &usize| self.members[*index].is_available(now);
        let untried: Vec<usize> = (0..self.members.len()).filter(is_untried).collect();
        let available: Vec<usize> = untried.iter().copied().filter(is_available).collect();
        let Some(tier) = available.iter().map(|index| self.members[*index].priority).min() else {
            let soonest = untried.into_iter().min_by_key(|index| self.available_at(*index, now))?;
            return Some(Pick::AllEjected(soonest));
        };
        let tier: Vec<usize> = available.into_iter().filter(|index| self.members[*index].priority == tier).collect();
        // Before healthy members: with few requests, its turn would come late, and a failed probe can fail over.
        let half_open =
            tier.iter().find(|index| self.members[**index].health.availability(now) == Availability::HalfOpen);
        let preferred = || session.and_then(|session| session.choose(&self.candidates(&tier)));
        half_open.copied().or_else(preferred).or_else(|| self.least_loaded(&tier)).map(Pick::Available)
    }

    fn candidates(&self, tier: &[usize]) -> Vec<Candidate<'_>> {
        let candidate = |index: &usize| {
            let member = &self.members[*index];
            let in_flight = member.in_flight.load(Ordering::Relaxed);
            Candidate { member: *index, name: member.target.name(), weight: member.weight, in_flight }
        };
        tier.iter().map(candidate).collect()
    }

    fn least_loaded(&self, tier: &[usize]) -> Option<usize> {
        // Requests in flight for each unit of weight, compared without division.
        let load = |index: usize| {
            let member = &self.members[index];
            (u64::from(member.in_flight.load(Ordering::Relaxed)), u64::from(member.weight.get()))
        };
        let compare = |one: usize, other: usize| {
            let ((a, wa), (b, wb)) = (load(one), load(other));
            (a * wb).cmp(&(b * wa))
        };
        let least = tier.iter().copied().min_by(|one, other| compare(*one, *other))?;
        let equals: Vec<usize> = tier.iter().copied().filter(|index| compare(*index, least).is_eq()).collect();
        let mut current = self.current_weights.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = |index: usize| i64::from(self.members[index].weight.get());
        let total: i64 = equals.iter().map(|index| weight(*index)).sum();
        for index in &equals {
            current[*index] += weight(*index);
        }
        let next = equals.into_iter().max_by_key(|index| (current[*index], std::cmp::Reverse(*index)))?;
        current[next] -= total;
        Some(next)
    }

    fn available_at(&self, index: usize, now: Instant) -> Instant {
        match self.members[index].health.availability(now) {
            Availability::Ejected { until } => until,
            Availability::Healthy | Availability::HalfOpen => now,
        }
    }

    /// The time from `now` until a member is available; zero if one is.
    #[must_use]
    pub fn time_until_available(&self, now: Instant) -> Duration {
        let soonest = (0..self.members.len()).map(|index| self.available_at(index, now)).min();
        soonest.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Begins a request to a member. `now` is not earlier than that of [`Route::pick`]: otherwise a probe would not be
    /// counted as one.
    #[must_use]
    pub fn lease(self: &Arc<Self>, member: usize, now: Instant) -> Lease {
        let chosen = &self.members[member];
        chosen.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease { route: Arc::clone(self), index: member, started_at: now, is_probe: chosen.health.begin_request(now) }
    }
}

impl Member {
    fn new(
        upstream: &UpstreamConfig,
        name: Arc<str>,
        ejection: Ejection,
        metrics: &ModelMetrics,
    ) -> Result<Self, TlsError> {
        let metrics = metrics.target(&name);
        Ok(Self {
            target: Target::new(upstream, name)?,
            apis: upstream.apis,
            weight: upstream.weight,
            priority: upstream.priority,
            in_flight: Arc::default(),
            health: Health::new(ejection),
            metrics,
            ejected_gauge: Arc::default(),
        })
    }

    /// The same target with other settings. Leases of before count in both.
    fn following(&self, upstream: &UpstreamConfig, ejection: Ejection) -> Result<Self, TlsError> {
        Ok(Self {
            target: Target::following(&self.target, upstream)?,
            apis: upstream.apis,
            weight: upstream.weight,
            priority: upstream.priority,
            in_flight: Arc::clone(&self.in_flight),
            health: self.health.with_rules(ejection),
            metrics: Arc::clone(&self.metrics),
            ejected_gauge: Arc::clone(&self.ejected_gauge),
        })
    }

    /// Whether it is healthy or half open.
    fn is_available(&self, now: Instant) -> bool {
        !matches!(self.health.availability(now), Availability::Ejected { .. })
    }

    /// Stops counting it as ejected.
    fn clear_ejected_gauge(&self) {
        *self.ejected_gauge.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Lease {
    /// The target.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.member().target
    }

    /// Records that the response has begun. For a probe, this ends the ejection: other requests need not wait for the
    /// end of a stream.
    pub fn record_attempt_success(&mut self) {
        self.member().metrics.attempt(TargetMetrics::OK);
        if std::mem::take(&mut self.is_probe) {
            self.member().health.end_ejection();
            self.member().clear_ejected_gauge();
            tracing::info!(upstream = &**self.target().name(), "back");
        }
    }

    /// Records a complete response. The first event alone is no success: a target that begins every response and
    /// completes none is not healthy.
    pub fn record_success(&mut self) {
        self.is_probe = false;
        if self.member().health.record_success(self.started_at) {
            self.member().clear_ejected_gauge();
        }
    }

    /// Records a failure before the first event, which came `now`.
    pub fn record_attempt_failure(&mut self, failure: &Failure, now: Instant) {
        self.member().metrics.attempt(failure.reason());
        self.record_failure(failure, now);
    }

    /// Records a failure before the end of the response, which came `now`. It counts only if the route has another
    /// target.
    pub fn record_failure(&mut self, failure: &Failure, now: Instant) {
        if self.route.members.len() == 1 {
            return;
        }
        self.is_probe = false;
        let member = self.member();
        let health = &member.health;
        match failure.retry_after() {
            Some(time) => health.pause(now, Some(time)),
            None if failure.is_rate_limit() => health.pause(now, None),
            None if failure.is_target_fault() => {
                if health.record_failure(now) {
                    tracing::warn!(upstream = &**self.target().name(), reason = failure.reason(), "ejected");
                    *member.ejected_gauge.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(member.metrics.ejected());
                }
            }
            // It refused the client's request, which does not concern its health.
            None => health.cancel_probe(),
        }
    }

    fn member(&self) -> &Member {
        &self.route.members[self.index]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member().in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.is_probe {
            self.member().health.cancel_probe();
        }
    }
}

#[cfg(test)]
mod tests;
