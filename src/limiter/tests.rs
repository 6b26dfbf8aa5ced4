//! Limits on a clock that the test moves.

use std::num::{NonZeroU32, NonZeroU64};

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::config::RateLimits;

fn limits(requests: u32, tokens: u64, streams: u32) -> RateLimits {
    RateLimits {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU64::new(tokens),
        concurrent_streams: NonZeroU32::new(streams),
    }
}

fn limiter(total: RateLimits) -> (Limiter, FakeRelativeClock) {
    let (clock, fake) = Clock::fake();
    fake.advance(Duration::from_secs(1000));
    (Limiter::new(total, clock), fake)
}

fn id(name: &str) -> Arc<str> {
    Arc::from(name)
}

/// The refusal by a limit of this process.
fn refusal<T, B>(result: Result<T, Blocked<B>>) -> RateLimited {
    match result {
        Err(Blocked::Limited(limited)) => limited,
        Err(Blocked::Pending(_)) => panic!("it waits"),
        Ok(_) => panic!("it is admitted"),
    }
}

impl Admission {
    fn stream(&self) -> Result<StreamPermit, Blocked<Allotment>> {
        self.take(true, 0).map(|allotment| allotment.permit.unwrap())
    }

    fn reserve(&self, tokens: u64) -> Result<Reservation, Blocked<Allotment>> {
        self.take(false, tokens).map(|allotment| allotment.reservation)
    }
}

const NONE: RateLimits = RateLimits { requests_per_minute: None, tokens_per_minute: None, concurrent_streams: None };

#[test]
fn a_burst_may_use_a_whole_minute_and_the_limit_refills_evenly() {
    let (limiter, clock) = limiter(NONE);
    let (key, own) = (id("a"), limits(3, 0, 0));
    let left: Vec<_> = (0..3).map(|_| limiter.request(&key, own).ok().unwrap().requests().unwrap().remaining).collect();
    assert_eq!(left, [2, 1, 0]);
    let refused = refusal(limiter.request(&key, own));
    assert_eq!((refused.what, refused.owner, refused.limit, refused.used), (Limit::Requests, LimitOwner::Key, 3, 3));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(20)));
    clock.advance(Duration::from_millis(19_999));
    assert!(limiter.request(&key, own).is_err());
    clock.advance(Duration::from_millis(1));
    assert!(limiter.request(&key, own).is_ok());
    assert!(limiter.request(&id("b"), own).is_ok(), "another key has its own");
}

#[test]
fn the_total_holds_for_all_keys_and_a_key_over_its_limit_takes_nothing_from_it() {
    let (limiter, _clock) = limiter(limits(3, 0, 0));
    assert!(limiter.request(&id("a"), limits(1, 0, 0)).is_ok());
    for _ in 0..10 {
        assert_eq!(refusal(limiter.request(&id("a"), limits(1, 0, 0))).owner, LimitOwner::Key);
    }
    assert!(limiter.request(&id("b"), NONE).is_ok());
    let last = limiter.request(&id("b"), NONE).ok().unwrap();
    assert_eq!(last.requests().unwrap().remaining, 0);
    assert_eq!(refusal(limiter.request(&id("c"), NONE)).owner, LimitOwner::Total);
}

#[test]
fn tokens_are_reserved_and_settled() {
    let (limiter, clock) = limiter(limits(0, 1000, 0));
    let own = limits(0, 600, 0);
    let admission = limiter.request(&id("a"), own).ok().unwrap();
    admission.reserve(500).ok().unwrap().settle(100);
    assert_eq!(admission.tokens().unwrap(), Quota { limit: 600, remaining: 500, reset: Duration::from_secs(10) });
    // More was used than reserved: the bucket is in debt, and even a request for no tokens has to wait.
    admission.reserve(500).ok().unwrap().settle(800);
    let refused = refusal(admission.reserve(0));
    assert_eq!(
        (refused.owner, refused.used, refused.retry_after),
        (LimitOwner::Key, 900, Some(Duration::from_secs(30)))
    );
    clock.advance(Duration::from_secs(30));
    assert!(admission.reserve(0).is_ok());
    assert!(admission.reserve(1).is_err());
}

#[test]
fn a_reservation_larger_than_the_limit_has_no_retry_after() {
    let (limiter, _clock) = limiter(limits(0, 100, 0));
    let admission = limiter.request(&id("a"), limits(0, 600, 0)).ok().unwrap();
    let refused = refusal(admission.reserve(101));
    assert_eq!((refused.owner, refused.retry_after), (LimitOwner::Total, None));
    assert!(refused.to_string().starts_with("Request too large for this server on tokens per min (TPM): Limit 100"));
    assert_eq!(admission.tokens().unwrap().remaining, 100, "a refusal takes nothing");
}

#[test]
fn a_reservation_that_is_never_settled_stays_taken() {
    let (limiter, _clock) = limiter(NONE);
    let admission = limiter.request(&id("a"), limits(0, 600, 0)).ok().unwrap();
    drop(admission.reserve(200));
    assert_eq!(admission.tokens().unwrap().remaining, 400);
}

#[test]
fn permits_are_freed_by_their_drop_and_a_refusal_by_the_total_keeps_none() {
    let (limiter, _clock) = limiter(limits(0, 0, 2));
    let a = limiter.request(&id("a"), limits(0, 0, 1)).ok().unwrap();
    let b = limiter.request(&id("b"), NONE).ok().unwrap();
    let first = a.stream().ok().unwrap();
    let refused = refusal(a.stream());
    assert_eq!((refused.owner, refused.limit, refused.used), (LimitOwner::Key, 1, 1));
    let _second = b.stream().ok().unwrap();
    assert_eq!(refusal(b.stream()).owner, LimitOwner::Total);
    drop(first);
    let _third = b.stream().ok().unwrap();
    assert_eq!(refusal(a.stream()).owner, LimitOwner::Total);
    drop(_third);
    assert!(a.stream().is_ok(), "the refusal left the key's own place free");
}

#[test]
fn new_limits_grant_no_fresh_minute() {
    let (limiter, _clock) = limiter(NONE);
    let key = id("a");
    for _ in 0..5 {
        limiter.request(&key, limits(10, 1000, 2)).ok().unwrap();
    }
    let admission = limiter.request(&key, limits(10, 1000, 2)).ok().unwrap();
    let reserved = admission.reserve(900).ok().unwrap();
    let _open = admission.stream().ok().unwrap();
    let after = limiter.request(&key, limits(8, 1200, 1)).ok().unwrap();
    assert_eq!(after.requests().unwrap().remaining, 1, "six were used of ten, one more now");
    assert_eq!(after.tokens().unwrap().remaining, 300);
    assert!(after.stream().is_err(), "the open stream counts");
    reserved.settle(0);
    assert_eq!(after.tokens().unwrap().remaining, 1200, "settled under the new limit");
}

#[test]
fn idle_keys_are_forgotten_and_busy_ones_are_not() {
    let (limiter, clock) = limiter(NONE);
    let busy = limiter.request(&id("busy"), limits(5, 0, 5)).ok().unwrap();
    let _permit = busy.stream().ok().unwrap();
    let owing = limiter.request(&id("owing"), limits(0, 10, 0)).ok().unwrap();
    owing.reserve(0).ok().unwrap().settle(1_000_000);
    drop(owing);
    for n in 0..1_000 {
        limiter.request(&id(&n.to_string()), limits(5, 0, 0)).ok().unwrap();
    }
    clock.advance(Duration::from_secs(61));
    for n in 1_000..1_100 {
        limiter.request(&id(&n.to_string()), limits(5, 0, 0)).ok().unwrap();
    }
    assert!(limiter.keys() < 200, "{}", limiter.keys());
    assert!(limiter.request(&id("owing"), limits(0, 10, 0)).ok().unwrap().reserve(0).is_err());
}

#[test]
fn threads_never_hold_more_permits_than_there_are() {
    let (limiter, _clock) = limiter(limits(0, 0, 8));
    let most = AtomicUsize::new(0);
    let now = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let admission = limiter.request(&id("a"), limits(0, 0, 9)).ok().unwrap();
                for _ in 0..2_000 {
                    if let Ok(permit) = admission.stream() {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 8);
    let admission = limiter.request(&id("a"), limits(0, 0, 9)).ok().unwrap();
    let all: Vec<_> = (0..8).map(|_| admission.stream().ok().unwrap()).collect();
    assert_eq!(all.len(), 8, "all came back");
}

proptest! {
    /// However reservations, settlements and time interleave: what was admitted in the end is never more than the
    /// limit, what came back with time, and what each admission took beyond its estimate.
    #[test]
    fn no_interleaving_admits_too_much(
        steps in proptest::collection::vec((0_u64..120, 0_u64..150, 0_u64..4_000), 1..80),
    ) {
        let (limiter, clock) = limiter(NONE);
        let admission = limiter.request(&id("a"), limits(0, 100, 0)).ok().unwrap();
        let (mut millis, mut reserved, mut beyond) = (0_u128, 0_u128, 0_u128);
        for (estimate, actual, wait) in steps {
            clock.advance(Duration::from_millis(wait));
            millis += u128::from(wait);
            if let Ok(reservation) = admission.reserve(estimate) {
                reservation.settle(actual);
                reserved += u128::from(actual.min(estimate));
                beyond += u128::from(actual.saturating_sub(estimate));
            }
            prop_assert!((reserved + beyond) * 60_000 <= (100 + 150) * 60_000 + millis * 100);
        }
    }

    /// Whatever was taken and given back, nothing appears from nowhere: at a standing clock what is left is the limit
    /// less what was really used.
    #[test]
    fn tokens_are_conserved(steps in proptest::collection::vec((0_u64..50, 0_u64..50), 1..40)) {
        let (limiter, _clock) = limiter(NONE);
        let admission = limiter.request(&id("a"), limits(0, 5_000, 0)).ok().unwrap();
        let mut used = 0;
        for (estimate, actual) in steps {
            admission.reserve(estimate).ok().unwrap().settle(actual);
            used += actual;
        }
        prop_assert_eq!(admission.tokens().unwrap().remaining, 5_000 - used);
    }
}
