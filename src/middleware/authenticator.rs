//! Checks keys against the keyring, and slows down addresses from which keys are guessed.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;

use crate::auth::keyring::{Keyring, Principal};
use crate::limiter::Clock;
use crate::wire::api_key::KeyHash;

/// Failures a minute from one address that are answered at once.
const FREE_FAILURES: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Longest delay of the answer to a further failure.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// Most answers that are delayed at the same time; further failures are refused with 429, so that they form no queue
/// without a bound.
const MAX_DELAYED: usize = 256;
/// Addresses that are remembered before idle ones are forgotten for the first time.
const FIRST_PURGE: usize = 1_024;
/// Shortest time between two purges: each visits all addresses, and a flood of failures must not cause one for each.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);
/// Most addresses that are counted separately.
const MAX_ADDRESSES: usize = 65_536;

/// Stands for clients that are not counted by their address. No client has it.
const NO_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Failures by address.
type Failures = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Clock, NoOpMiddleware<Nanos>>;

/// The shared state of authentication; cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    /// `Err`: keys are not checked, every request is this principal's.
    keyring: Result<Keyring, Arc<Principal>>,
    failures: Arc<Failures>,
    /// Number of stored addresses at which idle ones are removed.
    purge_at: Arc<AtomicUsize>,
    /// The time of the last removal, in nanoseconds of the clock.
    last_purge: Arc<AtomicU64>,
    clock: Clock,
    delayed: Arc<Semaphore>,
}

impl Authenticator {
    /// Requires a key of `keyring`.
    #[must_use]
    pub fn keys(keyring: Keyring, clock: Clock) -> Self {
        Self::new(Ok(keyring), clock)
    }

    /// Checks no keys; every request is `principal`'s.
    #[must_use]
    pub fn open(principal: Principal, clock: Clock) -> Self {
        Self::new(Err(Arc::new(principal)), clock)
    }

    fn new(keyring: Result<Keyring, Arc<Principal>>, clock: Clock) -> Self {
        let failures = Failures::new(Quota::per_minute(FREE_FAILURES), DashMapStateStore::default(), clock.clone());
        Self {
            keyring,
            failures: Arc::new(failures),
            purge_at: Arc::new(AtomicUsize::new(FIRST_PURGE)),
            last_purge: Arc::default(),
            clock,
            delayed: Arc::new(Semaphore::new(MAX_DELAYED)),
        }
    }

    /// The same authentication with the keys of another configuration; failures of before count.
    #[must_use]
    pub fn with_keyring(&self, keyring: Keyring) -> Self {
        Self { keyring: Ok(keyring), ..self.clone() }
    }

    /// The same authentication without keys: every request is `principal`'s.
    #[must_use]
    pub fn with_principal(&self, principal: Principal) -> Self {
        Self { keyring: Err(Arc::new(principal)), ..self.clone() }
    }

    /// The keys; none where keys are not checked.
    #[must_use]
    pub fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_ref().ok()
    }

    /// Whether keys are checked.
    #[must_use]
    pub const fn requires_keys(&self) -> bool {
        self.keyring.is_ok()
    }

    /// The principal whose key has this hash, if the key is known and has not expired.
    pub(super) fn find_known(&self, key: &KeyHash) -> Option<Arc<Principal>> {
        let keyring = match &self.keyring {
            Ok(keyring) => keyring,
            Err(everyone) => return Some(Arc::clone(everyone)),
        };
        keyring.find(key).filter(|principal| !principal.has_expired() && !keyring.is_outdated(principal))
    }

    /// Whether a key that is not found may be valid all the same, since the database can't be read. SQLite has no other
    /// process whose key could be missing for long.
    pub(super) fn may_be_unread(&self) -> bool {
        self.keyring.as_ref().is_ok_and(Keyring::is_unread)
    }

    /// As [`Authenticator::find_known`], and reads the database again for a key that is not known: another process may
    /// have made it a moment ago.
    pub(super) async fn find(&self, key: &KeyHash) -> Option<Arc<Principal>> {
        let known = self.find_known(key);
        if let (None, Ok(keyring)) = (&known, &self.keyring) {
            keyring.refresh().await;
            return self.find_known(key);
        }
        known
    }

    /// Makes guessing slow without ever making a valid key slow: only the answer to a failure is delayed. Where too
    /// many are delayed already, returns the `retry-after` instead: a faster answer would be a reward.
    pub(super) async fn throttle_failures(&self, peer: Option<IpAddr>) -> Option<Duration> {
        // Clients without an address, behind unix sockets, share one.
        let address = peer.map_or(NO_ADDRESS, network);
        let Err(not_yet) = self.failures.check_key(&self.slot(address)) else { return None };
        let Ok(_permit) = self.delayed.try_acquire() else { return Some(MAX_DELAY) };
        tokio::time::sleep(not_yet.wait_time_from(self.clock.now()).min(MAX_DELAY)).await;
        None
    }

    /// The address under which a failure is counted. When more addresses have failed within a minute than are counted
    /// separately, all others share one slot.
    fn slot(&self, address: IpAddr) -> IpAddr {
        let mut known = self.failures.len();
        if known >= self.purge_at.load(Ordering::Relaxed) && self.begin_purge() {
            self.failures.retain_recent();
            known = self.failures.len();
            self.purge_at.store((known * 2).clamp(FIRST_PURGE, MAX_ADDRESSES), Ordering::Relaxed);
        }
        if known >= MAX_ADDRESSES { NO_ADDRESS } else { address }
    }

    /// Whether idle addresses may be removed now: at most once in [`PURGE_INTERVAL`].
    fn begin_purge(&self) -> bool {
        let (now, last) = (self.clock.now().as_u64(), self.last_purge.load(Ordering::Relaxed));
        let is_due = u128::from(now.saturating_sub(last)) >= PURGE_INTERVAL.as_nanos();
        is_due && self.last_purge.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The network that an address stands for: an IPv6 host has a whole /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::config::RateLimits;
    use crate::error::{Denied, Surface};
    use crate::wire::api_key::Scopes;

    fn authenticator(clock: Clock) -> Authenticator {
        let everyone = Principal {
            id: "everybody".into(),
            name: "everybody".into(),
            expires_at: None,
            models: None,
            scopes: Scopes::ALL,
            limits: RateLimits::default(),
        };
        Authenticator::open(everyone, clock)
    }

    /// Failures of so many addresses, numbered from `first` on.
    async fn fail(authenticator: &Authenticator, addresses: std::ops::Range<u32>) {
        for number in addresses {
            assert_eq!(authenticator.throttle_failures(Some(IpAddr::V4(number.into()))).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_beyond_65536_share_one_entry_until_others_are_idle() {
        let (clock, hand) = Clock::fake();
        let authenticator = authenticator(clock);
        fail(&authenticator, 0..65_536).await;
        assert_eq!(authenticator.failures.len(), 65_536);
        // The shared entry has one number of free failures for all further addresses.
        let begin = tokio::time::Instant::now();
        fail(&authenticator, 100_000..100_020).await;
        assert_eq!((authenticator.failures.len(), begin.elapsed()), (65_537, Duration::ZERO));
        fail(&authenticator, 200_000..200_001).await;
        assert_eq!((authenticator.failures.len(), begin.elapsed()), (65_537, MAX_DELAY));
        hand.advance(Duration::from_secs(120));
        fail(&authenticator, 300_000..300_001).await;
        assert_eq!(authenticator.failures.len(), 1);
    }

    #[test]
    fn an_ipv6_host_is_counted_with_its_network() {
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::ffff:0:1", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        assert_eq!(network(one), network(same));
        assert_ne!(network(one), network(other));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }

    #[tokio::test]
    async fn a_failure_is_refused_while_too_many_are_delayed() {
        let authenticator = authenticator(Clock::fake().0);
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        let _all = authenticator.delayed.try_acquire_many(u32::try_from(MAX_DELAYED).unwrap()).unwrap();
        for _ in 0..FREE_FAILURES.get() {
            assert_eq!(authenticator.throttle_failures(peer).await, None, "answered as it is");
        }
        let wait = authenticator.throttle_failures(peer).await.expect("no place to wait");
        for (surface, kind) in [(Surface::OpenAi, "application/json"), (Surface::Problem, "application/problem+json")] {
            let answer = Denied::TooManyFailures(wait).to_response(surface);
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.headers()["content-type"], kind);
            assert_eq!(answer.headers()["retry-after"], "1");
        }
    }
}
