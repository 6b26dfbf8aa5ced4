//! The handle to limits that all replicas share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::super::clock::Clock;
use super::backend::Backend;
use super::exchange::VERSION;
use super::lease::{PARTS, Spend};
use super::mode::{CurrentMode, Mode};
use super::outage::{Terms, share_of};
use super::scope::Scope;
use crate::config::OnFailure;
use crate::telemetry::metrics::LeaseMetrics;

/// Time after a loss of data in which replicas report what was used: each notices the loss within a second.
pub(super) const RECOVERY: Duration = Duration::from_millis(1_500);
/// Most limits that wait for an exchange at once. Requests that would need one more are refused.
const MAX_QUEUED: usize = 4_096;

/// The handle to limits that all replicas share; clones are the same.
#[derive(Clone)]
pub struct SharedLimits(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) backend: Backend,
    /// The name of this replica.
    pub(super) replica: Arc<str>,
    on_failure: OnFailure,
    pub(super) clock: Clock,
    pub(super) mode: CurrentMode,
    /// Replicas that were last known to live; at least one.
    replicas: AtomicU64,
    queue: mpsc::Sender<Arc<Scope>>,
    /// The number of the last exchange.
    pub(super) number: AtomicU64,
    /// The scopes in use: what is held, owed or known to be used.
    // std Mutex: never held across .await
    listed: Mutex<VecDeque<Arc<Scope>>>,
    pub(super) metrics: Arc<LeaseMetrics>,
}

/// What a limit says of a request.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::limiter) enum Verdict {
    /// Spent.
    Admitted,
    /// The limit is used up for this time.
    UsedUp(Duration),
    /// Redis would have to tell, and can't.
    Unavailable,
    /// An exchange has to tell.
    Unknown,
}

impl SharedLimits {
    pub(super) fn new(
        backend: Backend,
        replica: Arc<str>,
        on_failure: OnFailure,
        clock: Clock,
        metrics: Arc<LeaseMetrics>,
    ) -> (Self, mpsc::Receiver<Arc<Scope>>) {
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        let inner = Inner {
            backend,
            replica,
            on_failure,
            clock,
            mode: CurrentMode::default(),
            replicas: AtomicU64::new(1),
            queue,
            number: AtomicU64::new(0),
            listed: Mutex::default(),
            metrics,
        };
        (Self(Arc::new(inner)), queued)
    }

    /// Waits until limits are shared for the first time: Redis has answered, and replicas have had the time to report what
    /// they used.
    pub async fn ready(&self) {
        self.0.mode.shared().await;
    }

    /// Whether limits are shared now.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.0.mode.get()
    }

    /// The number of times that Redis did not answer in time, or had lost its data, after it had answered once.
    #[must_use]
    pub fn outages(&self) -> u64 {
        self.0.mode.outages()
    }

    /// Sets the number of live replicas as last known, this one included. It is never less than one.
    pub fn set_replicas(&self, live: u32) {
        self.0.replicas.store(u64::from(live.max(1)), Ordering::Relaxed);
    }

    /// Changes the mode: see [`CurrentMode::set`].
    pub(super) fn set_mode(&self, shared: bool, recovery: bool) {
        self.0.mode.set(shared, recovery);
        self.report_mode();
    }

    /// Begins an outage, if limits are shared.
    fn begin_outage(&self) {
        self.0.mode.begin_outage();
        self.report_mode();
    }

    /// Writes the mode to the metrics.
    pub(super) fn report_mode(&self) {
        self.0.metrics.mode_is(self.mode().place(), self.outages());
    }

    pub(super) fn replicas(&self) -> u64 {
        self.0.replicas.load(Ordering::Relaxed)
    }

    /// The limit `kind` of `owner`; `open` counts its permits in use, if it is one of permits.
    pub(in crate::limiter) fn scope(
        &self,
        owner: &str,
        kind: &'static str,
        limit: u64,
        open: Option<Arc<AtomicU32>>,
    ) -> Arc<Scope> {
        // In a cluster all limits of an owner are on one node.
        Arc::new(Scope::new(format!("limit:{VERSION}:{{{owner}}}:{kind}"), kind, limit, open))
    }

    /// Spends `tokens`. `may_wait`: whether the answer may be [`Verdict::Unknown`].
    pub(in crate::limiter) fn spend(&self, scope: &Arc<Scope>, tokens: u64, now: u64, may_wait: bool) -> Verdict {
        let mode = self.mode();
        let mut lease = scope.lease();
        let spend = lease.spend(tokens, now);
        let (number, recovers) = match (mode, spend) {
            (_, Spend::Done) => {
                if let Some(open) = scope.open() {
                    open.fetch_add(1, Ordering::AcqRel);
                }
                let is_low = mode == Mode::Shared && lease.is_low(now);
                lease.queued |= is_low;
                drop(lease);
                if is_low {
                    self.enqueue(scope);
                }
                return Verdict::Admitted;
            }
            (Mode::Shared, Spend::Refused(wait)) => return Verdict::UsedUp(wait),
            (Mode::Shared, Spend::Unknown) if may_wait => return Verdict::Unknown,
            (Mode::Shared, Spend::Unknown) => return self.unavailable(),
            (Mode::Outage(number), _) => (number, false),
            (Mode::Recovery(number), _) => (number, true),
        };
        let replicas = match self.0.on_failure {
            OnFailure::Allow if !recovers => 1,
            OnFailure::Refuse if !recovers => return self.unavailable(),
            OnFailure::Share | OnFailure::Allow | OnFailure::Refuse => self.replicas(),
        };
        let limit = lease.limit();
        if let Some(open) = scope.open() {
            let share = u32::try_from(share_of(limit, replicas)).unwrap_or(u32::MAX);
            let taken = open.try_update(Ordering::AcqRel, Ordering::Relaxed, |open| (open < share).then_some(open + 1));
            if taken.is_err() {
                return Verdict::UsedUp(Duration::ZERO);
            }
            lease.note_unreported();
        } else {
            // While others report what they used, a replica that can't know of it admits little.
            let parts = if recovers && !lease.knows_use(now) { replicas.saturating_mul(PARTS) } else { replicas };
            let terms = Terms { limit, used: lease.used(now), parts, stays: recovers };
            if let Err(wait) = lease.outage.take(tokens, number, &terms, now) {
                return Verdict::UsedUp(if recovers { wait.min(RECOVERY) } else { wait });
            }
        }
        self.list(scope, &mut lease.listed);
        Verdict::Admitted
    }

    fn unavailable(&self) -> Verdict {
        self.0.metrics.refused();
        Verdict::Unavailable
    }

    /// Takes back what was spent for a request that another limit refuses.
    pub(in crate::limiter) fn unspend(&self, scope: &Scope, tokens: u64) {
        scope.lease().unspend(tokens);
    }

    /// Corrects an estimate: `more` tokens were used than were spent, or fewer if it is negative.
    pub(in crate::limiter) fn settle(&self, scope: &Arc<Scope>, more: i64, now: u64) {
        let mut lease = scope.lease();
        match self.mode() {
            Mode::Shared => lease.settle(more, now),
            Mode::Outage(_) | Mode::Recovery(_) => lease.outage.settle(more, now),
        }
        self.list(scope, &mut lease.listed);
    }

    /// A permit is not in use any more.
    pub(in crate::limiter) fn release(&self, scope: &Arc<Scope>) {
        let now = self.0.clock.nanos();
        let mut lease = scope.lease();
        if let Some(open) = scope.open() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
        let at_once = lease.release(now) && self.mode() == Mode::Shared && !lease.queued;
        lease.queued |= at_once;
        drop(lease);
        if at_once {
            self.enqueue(scope);
        }
    }

    /// Makes an exchange in the background, unless one is queued.
    pub(in crate::limiter) fn refresh(&self, scope: &Arc<Scope>) {
        let is_queued = std::mem::replace(&mut scope.lease().queued, true);
        if !is_queued {
            self.enqueue(scope);
        }
    }

    fn enqueue(&self, scope: &Arc<Scope>) -> bool {
        let sent = self.0.queue.try_send(Arc::clone(scope)).is_ok();
        if !sent {
            scope.lease().queued = false;
        }
        sent
    }

    pub(super) fn list(&self, scope: &Arc<Scope>, listed: &mut bool) {
        if !std::mem::replace(listed, true) {
            self.0.listed.lock().unwrap_or_else(PoisonError::into_inner).push_back(Arc::clone(scope));
        }
    }

    /// Takes the list of scopes in use; those that stay in use must be put back.
    pub(super) fn take_listed(&self) -> VecDeque<Arc<Scope>> {
        std::mem::take(&mut *self.0.listed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn put_back(&self, mut scopes: VecDeque<Arc<Scope>>) {
        let mut listed = self.0.listed.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.append(&mut listed);
        *listed = scopes;
    }
}

/// The tokens of a limit that only an exchange can tell of. While it exists, they are kept for the request.
pub(in crate::limiter) struct Missing {
    limits: SharedLimits,
    scope: Arc<Scope>,
    tokens: u64,
}

impl Drop for Missing {
    fn drop(&mut self) {
        self.scope.lease().unawait(self.tokens);
    }
}

impl Missing {
    pub(super) fn new(limits: SharedLimits, scope: Arc<Scope>, tokens: u64) -> Self {
        scope.lease().await_tokens(tokens);
        Self { limits, scope, tokens }
    }

    /// Whether both are of one limit.
    pub(in crate::limiter) fn is_of_same_limit(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.scope, &other.scope)
    }

    /// Waits for the exchange until `deadline`. False: there is none, or no answer in time, which is an outage: on a busy
    /// machine the exchange notices it later.
    pub(in crate::limiter) async fn exchanged(&self, deadline: Instant) -> bool {
        let Self { limits, scope, tokens } = self;
        if limits.mode() != Mode::Shared {
            return false;
        }
        // Before the queue: no answer is missed.
        let answered = scope.answered().notified();
        let (is_queued, round) = {
            let mut lease = scope.lease();
            let round = lease.demand(*tokens);
            (std::mem::replace(&mut lease.queued, true), round)
        };
        let mut is_answered = is_queued || limits.enqueue(scope);
        if is_answered && timeout_at(deadline, answered).await.is_err() {
            limits.begin_outage();
            is_answered = false;
        }
        scope.lease().undemand(*tokens, round);
        is_answered
    }
}
