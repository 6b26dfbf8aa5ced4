//! The one task that talks to Redis about limits: one round trip at a time, for all limits that need one.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::backend::Answer;
use super::lease::{Begun, Purpose};
use super::mode::Mode;
use super::scope::Scope;
use super::shared_limits::{RECOVERY, SharedLimits};
use crate::shared::redis::RedisError;

/// Time between two reports of what is held and owed.
const TICK: Duration = Duration::from_secs(1);
/// Time between two attempts while limits are not shared.
const RETRY: Duration = Duration::from_millis(100);
/// Most exchanges in a round trip: about five milliseconds of Redis' time.
const BATCH: usize = 256;
/// Most exchanges in the background for each tick; further ones wait for the next tick, in turn. So the permits of 20,000
/// keys are reported within their life of five seconds.
const MAX_DUE: usize = 5_000;
/// The same while what was used is reported after a loss of data.
const MAX_RECOVERED: usize = 20_000;
/// An answer that takes longer is an outage: requests stop waiting before their own time is over.
const SLOW: Duration = Duration::from_millis(40);

/// See the module.
pub struct ExchangeTask {
    limits: SharedLimits,
    queue: mpsc::Receiver<Arc<Scope>>,
    /// Exchanges in the background that are due.
    due: VecDeque<Arc<Scope>>,
    /// The beginning of the data that was seen last, microseconds of Redis' clock.
    boot: Option<u64>,
    /// Whether Redis had no beginning of data at the last answer.
    is_lost: bool,
    /// The end of the recovery, nanoseconds of the limits' clock.
    recovers_until: u64,
}

impl ExchangeTask {
    pub(super) fn new(limits: SharedLimits, queue: mpsc::Receiver<Arc<Scope>>) -> Self {
        Self { limits, queue, due: VecDeque::new(), boot: None, is_lost: false, recovers_until: 0 }
    }

    /// Runs until `stop` is cancelled; then what is held is given back.
    pub async fn run(mut self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.exchange_all()).await;
        self.due = self.limits.take_listed();
        while !self.due.is_empty() && self.limits.mode() == Mode::Shared {
            let mut batch: Vec<_> = self.due.drain(..BATCH.min(self.due.len())).collect();
            if self.exchange(&mut batch, Some(Purpose::Leave)).await.is_err() {
                return;
            }
        }
    }

    async fn exchange_all(&mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let is_shared = self.limits.mode() == Mode::Shared;
            tokio::select! {
                biased;
                _ = tick.tick() => self.collect(),
                _ = self.queue.recv_many(&mut batch, BATCH) => {}
                () = std::future::ready(()), if !self.due.is_empty() => {}
                () = sleep(RETRY), if !is_shared => {}
            }
            if let Mode::Outage(_) | Mode::Recovery(_) = self.limits.mode() {
                // Requests do not wait: they decide without Redis.
                self.dismiss(&mut batch);
            }
            let room = BATCH.saturating_sub(batch.len()).min(self.due.len());
            batch.extend(self.due.drain(..room));
            if self.exchange(&mut batch, None).await.is_err() {
                self.due.clear();
                self.dismiss(&mut batch);
                sleep(RETRY).await;
            }
        }
    }

    /// Collects the limits with something to report.
    fn collect(&mut self) {
        let limits = &self.limits;
        let now = limits.0.clock.nanos();
        let recovers = matches!(limits.mode(), Mode::Recovery(_));
        let max = if recovers { MAX_RECOVERED } else { MAX_DUE };
        let (mut first, mut last) = (VecDeque::new(), VecDeque::new());
        for scope in limits.take_listed() {
            if self.due.len() >= max {
                first.push_back(scope);
                continue;
            }
            if recovers || scope.is_due(now) {
                self.due.push_back(Arc::clone(&scope));
            }
            if scope.stays_listed(now) {
                last.push_back(scope);
            }
        }
        first.append(&mut last);
        let owed = first.iter().map(|scope| scope.lease().owed()).sum();
        limits.0.metrics.in_use(first.len(), owed);
        // Requests change it too: of two changes at once, the earlier one may have been reported last.
        limits.report_mode();
        limits.put_back(first);
    }

    /// Lets the requests of `batch` and of the queue decide without an exchange.
    fn dismiss(&mut self, batch: &mut Vec<Arc<Scope>>) {
        while let Ok(scope) = self.queue.try_recv() {
            scope.dismiss();
        }
        batch.drain(..).for_each(|scope| scope.dismiss());
    }

    /// One round trip for the limits of `batch`. Without a `purpose` the mode decides.
    async fn exchange(&mut self, batch: &mut Vec<Arc<Scope>>, purpose: Option<Purpose>) -> Result<(), RedisError> {
        let limits = self.limits.clone();
        let inner = &limits.0;
        let (now, replicas) = (inner.clock.nanos(), limits.replicas());
        let mode = limits.mode();
        let purpose = purpose.unwrap_or(if mode == Mode::Shared { Purpose::Take } else { Purpose::Recover });
        let begin = |scope: Arc<Scope>| {
            let number = inner.number.fetch_add(1, Ordering::Relaxed) + 1;
            scope.begin(purpose, number, replicas, now).map(|begun| (scope, begun))
        };
        let begun: Vec<_> = batch.drain(..).filter_map(begin).collect();
        let exchanges: Vec<_> = begun.iter().map(|(scope, begun)| (scope.name(), &begun.exchange)).collect();
        let answer = {
            let mut call = pin!(inner.backend.exchange(&inner.replica, self.is_lost, &exchanges));
            tokio::select! {
                biased;
                answer = &mut call => answer,
                () = sleep(SLOW) => {
                    limits.set_mode(false, false);
                    begun.iter().for_each(|(scope, _)| scope.answered().notify_waiters());
                    while let Ok(scope) = self.queue.try_recv() {
                        scope.dismiss();
                    }
                    call.await
                }
            }
        };
        let now = inner.clock.nanos();
        match answer {
            Ok(answer) => {
                let counts = self.judge(&answer, now);
                for ((scope, begun), reply) in begun.iter().zip(&answer.replies) {
                    inner.metrics.exchanged(scope.kind(), reply.granted, begun.returned);
                    scope.finish(begun, Some(reply), counts, now);
                    self.note_use(scope, now);
                }
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%error, "limits can't be shared");
                self.fail(&begun, now);
                Err(error)
            }
        }
    }

    fn fail(&self, begun: &[(Arc<Scope>, Begun)], now: u64) {
        self.limits.set_mode(false, false);
        for (scope, begun) in begun {
            scope.finish(begun, None, false, now);
            self.note_use(scope, now);
        }
    }

    fn note_use(&self, scope: &Arc<Scope>, now: u64) {
        if scope.is_in_use(now) {
            self.limits.list(scope, &mut scope.lease().listed);
        }
    }

    /// Decides from an answer whether limits are shared, and returns whether what was granted counts.
    fn judge(&mut self, answer: &Answer, now: u64) -> bool {
        let limits = self.limits.clone();
        self.is_lost = answer.boot.is_none();
        let Some(boot) = answer.boot else {
            self.recover(now, RECOVERY);
            return false;
        };
        let age = Duration::from_micros(answer.now.saturating_sub(boot));
        let left = RECOVERY.saturating_sub(age);
        if self.boot != Some(boot) {
            // A replica that has used nothing yet has nothing to report.
            let has_used = self.boot.replace(boot).is_some();
            if has_used || !left.is_zero() {
                self.recover(now, left);
                return false;
            }
        }
        if now < self.recovers_until || !left.is_zero() || (limits.mode() != Mode::Shared && !self.due.is_empty()) {
            limits.set_mode(false, true);
            return false;
        }
        let counts = limits.mode() == Mode::Shared;
        limits.set_mode(true, false);
        counts
    }

    /// Begins or continues to report what was used before Redis lost its data.
    fn recover(&mut self, now: u64, time: Duration) {
        self.recovers_until = now + u64::try_from(time.as_nanos()).unwrap_or(0);
        self.limits.set_mode(false, true);
        self.due.clear();
        self.collect();
    }
}
