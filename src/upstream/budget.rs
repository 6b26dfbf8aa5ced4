//! The retry budget of a route: retries are a share of its requests, as in Finagle and linkerd, so that an outage does
//! not cause a retry storm.
//!
//! A retry is charged to the budget if it may make the targets do the work of one request twice: after a 5xx, a broken
//! connection or a timeout, and at the same target. It is free if the attempt before it failed at another target
//! without any work (`Failure::is_free_elsewhere`): there was no connection, a rate limit was hit, or the configured
//! key, account or address was refused. Such a target is avoided for a time, so that few requests are affected, and
//! `attempts` bounds the retries of each.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::Retries;

/// The cost of one retry, in units of the balance.
const RETRY_COST: u64 = 100_000;
/// Most seconds' worth of the reserve in the balance.
const MAX_RESERVE_SECONDS: u64 = 10;
/// Most retries in the balance beyond the reserve.
const MAX_SAVED_RETRIES: u64 = 100;

/// The balance of a route.
pub(super) struct RetryBudget {
    rules: Retries,
    /// The balance, and when the reserve was last added to it.
    // std Mutex: never held across .await
    state: Arc<Mutex<(u64, Instant)>>,
}

impl RetryBudget {
    pub(super) fn new(rules: Retries) -> Self {
        let balance = u64::from(rules.reserve_per_second) * MAX_RESERVE_SECONDS * RETRY_COST;
        Self { rules, state: Arc::new(Mutex::new((balance, Instant::now()))) }
    }

    /// The same balance under other rules.
    pub(super) fn with_rules(&self, rules: Retries) -> Self {
        Self { rules, state: Arc::clone(&self.state) }
    }

    /// Adds the share of one request.
    pub(super) fn deposit(&self, now: Instant) {
        let share = RETRY_COST * u64::from(self.rules.budget_percent) / 100;
        self.change(now, |balance| (balance + share, true));
    }

    /// Takes the cost of one retry; false if the balance is too low.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        self.change(now, |balance| balance.checked_sub(RETRY_COST).map_or((balance, false), |left| (left, true)))
    }

    /// Adds the reserve for the time that has passed until `now`, then applies `change` to the balance.
    fn change(&self, now: Instant, change: impl FnOnce(u64) -> (u64, bool)) -> bool {
        let reserve = u64::from(self.rules.reserve_per_second);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (balance, updated_at) = &mut *state;
        let millis = u64::try_from((now - *updated_at).as_millis()).unwrap_or(u64::MAX);
        // Fractions of a millisecond count next time.
        *updated_at += std::time::Duration::from_millis(millis);
        let gained = millis.saturating_mul(reserve).saturating_mul(RETRY_COST / 1_000);
        let max = (reserve * MAX_RESERVE_SECONDS + MAX_SAVED_RETRIES) * RETRY_COST;
        let (new, done) = change(balance.saturating_add(gained).min(max));
        *balance = new.min(max);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(budget_percent: u32, reserve_per_second: u32) -> RetryBudget {
        RetryBudget::new(Retries { budget_percent, reserve_per_second, ..Retries::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_the_requests() {
        let budget = budget(20, 0);
        assert!(!budget.withdraw(Instant::now()));
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.deposit(Instant::now());
            while budget.withdraw(Instant::now()) {
                retries += 1;
            }
        }
        assert_eq!(retries, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_reserve_is_restored_with_time_and_is_bounded() {
        let budget = budget(0, 2);
        let spend = || (0..1_000).filter(|_| budget.withdraw(Instant::now())).count();
        assert_eq!(spend(), 20);
        tokio::time::advance(std::time::Duration::from_millis(1_500)).await;
        assert_eq!(spend(), 3);
        tokio::time::advance(std::time::Duration::from_secs(3_600)).await;
        assert_eq!(spend(), 120);
    }
}
