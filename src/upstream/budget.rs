//! How often a route may try again: a share of its requests, as in Finagle and linkerd, so that an outage is met by
//! a few more requests and not by a storm of them.
//!
//! The rule: what may make targets do the work of one request twice is paid for; what can't is free. An attempt is free
//! when the one before it failed at another target without any work (`Failure::is_free_elsewhere`): no connection was
//! made, a rate limit was hit, or the target refused us as we are set up. Such a target is then left alone, so that few
//! requests come by it, and `attempts` bounds each of them. All other attempts are paid for: after 5xx, broken connections
//! and timeouts, and each repetition at the same target.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::Retries;

/// One retry, in the unit of the balance.
const RETRY: u64 = 100_000;
/// How many seconds' worth of the reserve may be saved up.
const SAVED: u64 = 10;
/// How many retries a share of the traffic may add up to.
const MOST: u64 = 100;

/// See the module.
pub(super) struct Budget {
    rules: Retries,
    // std Mutex: never held across .await
    state: Mutex<(u64, Instant)>,
}

impl Budget {
    pub(super) fn new(rules: Retries) -> Self {
        let saved = u64::from(rules.reserve_per_second) * SAVED * RETRY;
        Self { rules, state: Mutex::new((saved, Instant::now())) }
    }

    /// A request came: its share is paid in.
    pub(super) fn deposit(&self) {
        let share = RETRY * u64::from(self.rules.budget_percent) / 100;
        self.change(|balance| (balance + share, true));
    }

    /// Whether there is enough for one more attempt, which is paid for then.
    pub(super) fn withdraw(&self) -> bool {
        self.change(|balance| balance.checked_sub(RETRY).map_or((balance, false), |left| (left, true)))
    }

    fn change(&self, change: impl FnOnce(u64) -> (u64, bool)) -> bool {
        let reserve = u64::from(self.rules.reserve_per_second);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (balance, at) = &mut *state;
        let millis = u64::try_from((Instant::now() - *at).as_millis()).unwrap_or(u64::MAX);
        // What is less than a millisecond stays on the clock.
        *at += std::time::Duration::from_millis(millis);
        let gained = millis.saturating_mul(reserve).saturating_mul(RETRY / 1_000);
        let most = (reserve * SAVED + MOST) * RETRY;
        let (new, done) = change(balance.saturating_add(gained).min(most));
        *balance = new.min(most);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(budget_percent: u32, reserve_per_second: u32) -> Budget {
        Budget::new(Retries { budget_percent, reserve_per_second, ..Retries::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_the_requests() {
        let budget = budget(20, 0);
        assert!(!budget.withdraw());
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.deposit();
            while budget.withdraw() {
                retries += 1;
            }
        }
        assert_eq!(retries, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_reserve_comes_back_with_time_and_is_bounded() {
        let budget = budget(0, 2);
        let spend = || (0..1_000).filter(|_| budget.withdraw()).count();
        assert_eq!(spend(), 20);
        tokio::time::advance(std::time::Duration::from_millis(1_500)).await;
        assert_eq!(spend(), 3);
        tokio::time::advance(std::time::Duration::from_secs(3_600)).await;
        assert_eq!(spend(), 120);
    }
}
