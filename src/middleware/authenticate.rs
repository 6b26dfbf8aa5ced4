//! Who is it, and may they.
//!
//! Answers 401 and 403 in the surface's format. Ends at the headers: a key that expires during an answer does not cut
//! it. Puts the principal's [`AuthContext`] among the request's extensions. Where browsers are let in, a ticket that was good
//! is exchanged for a cookie.
//!
//! Nearly every request shows a key that is known: it passes without a wait, and so without a task's memory of its own.

mod standing;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

pub use standing::AuthContext;

use crate::auth::browser_credential::{Browsers, Credential, OfferedCredential};
use crate::auth::keyring::{Keyring, Principal};
use crate::error::problem::Problem;
use crate::error::{Denied, Surface};
use crate::limiter::Clock;
use crate::store::StoreError;
use crate::telemetry::record::Record;
use crate::time::{ResponseDeadline, TaskTimer};
use crate::wire::api_key::{KeyHash, Scope, mask};

/// Failures a minute from one address that are answered at once.
const FAILURES: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// How long a further one waits for its answer, at most.
const DELAY: Duration = Duration::from_secs(1);
/// How many may wait; more are refused with 429, since a queue without an end is the worse weakness.
const MAX_WAITING: usize = 256;
/// Addresses remembered before the idle ones are forgotten for the first time.
const FIRST_PURGE: usize = 1_024;
/// Most addresses told apart.
const MAX_ADDRESSES: usize = 65_536;

/// The other end of the request's connection, put among its extensions by the server.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// When the answer must be over, for the owner of the socket.
    pub ends_at: ResponseDeadline,
    /// The timer of the task that serves the connection.
    pub timer: TaskTimer,
}

/// Failures by address.
type Failures = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Clock, NoOpMiddleware<Nanos>>;

/// What the gate needs; cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    /// None: everybody is let in as this principal.
    keyring: Result<Keyring, Arc<Principal>>,
    failures: Arc<Failures>,
    /// How many addresses are remembered before the idle ones are forgotten.
    purge_at: Arc<AtomicUsize>,
    clock: Clock,
    waiting: Arc<Semaphore>,
}

/// A gate in front of one scope, answering in one format.
#[derive(Clone)]
pub struct AuthPolicy {
    /// Who is let in at all.
    pub gate: Authenticator,
    /// What a key must be allowed to do; none: any good key will do.
    pub scope: Option<Scope>,
    /// The format of a refusal.
    pub surface: Surface,
    /// Lets browsers in, that can't show a key; none: it does not.
    pub browsers: Option<Browsers>,
    /// Who those are that show no key; none: they are not let in.
    pub anonymous: Option<Arc<Principal>>,
}

impl Authenticator {
    /// Asks for keys.
    #[must_use]
    pub fn keys(keyring: Keyring, clock: Clock) -> Self {
        Self::new(Ok(keyring), clock)
    }

    /// Asks for nothing; everybody is `principal`.
    #[must_use]
    pub fn open(principal: Principal, clock: Clock) -> Self {
        Self::new(Err(Arc::new(principal)), clock)
    }

    fn new(keyring: Result<Keyring, Arc<Principal>>, clock: Clock) -> Self {
        let quota = Quota::per_minute(FAILURES);
        let failures = Failures::new(quota, DashMapStateStore::default(), clock.clone());
        Self {
            keyring,
            failures: Arc::new(failures),
            purge_at: Arc::new(AtomicUsize::new(FIRST_PURGE)),
            clock,
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }

    /// The keys that it asks for; none: it asks for nothing.
    #[must_use]
    pub fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_ref().ok()
    }

    /// Whether it asks for keys.
    #[must_use]
    pub const fn asks_for_keys(&self) -> bool {
        self.keyring.is_ok()
    }

    /// Whose key has this hash, if it is known and good.
    fn known(&self, key: &KeyHash) -> Option<Arc<Principal>> {
        let keyring = match &self.keyring {
            Ok(keyring) => keyring,
            Err(everybody) => return Some(Arc::clone(everybody)),
        };
        keyring.find(key).filter(|principal| !principal.has_expired())
    }

    /// As [`Authenticator::known`]; perhaps the key was made a moment ago, by another process.
    async fn find(&self, key: &KeyHash) -> Option<Arc<Principal>> {
        let known = self.known(key);
        if let (None, Ok(keyring)) = (&known, &self.keyring) {
            keyring.refresh().await;
            return self.known(key);
        }
        known
    }

    /// Makes guessing slow without ever making a valid key slow: only the answer to a failure waits. Where too many wait
    /// already it gives how long this one should stay away: to be answered faster would be a reward.
    async fn slow_down(&self, peer: Option<IpAddr>) -> Option<Duration> {
        let peer = peer?;
        let Err(not_yet) = self.failures.check_key(&self.slot(network(peer))) else { return None };
        let Ok(_place) = self.waiting.try_acquire() else { return Some(DELAY) };
        tokio::time::sleep(not_yet.wait_time_from(self.clock.now()).min(DELAY)).await;
        None
    }
}

impl Authenticator {
    /// The address under which a failure is counted. When too many have failed within a minute to tell them apart, all
    /// others share one slot.
    fn slot(&self, address: IpAddr) -> IpAddr {
        let known = self.failures.len();
        if known >= self.purge_at.load(Ordering::Relaxed) {
            self.failures.retain_recent();
            let left = self.failures.len();
            self.purge_at.store((left * 2).clamp(FIRST_PURGE, MAX_ADDRESSES), Ordering::Relaxed);
            if left >= MAX_ADDRESSES {
                return IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        address
    }
}

/// Somebody who is let in.
struct Admitted {
    standing: AuthContext,
    /// A ticket for this key was used up for it.
    ticket: Option<KeyHash>,
}

/// Why somebody is not.
enum Refusal {
    Denied(Denied),
    Store(StoreError),
}

impl AuthPolicy {
    /// Lets somebody in of whom everything is known already; none: that takes a closer look.
    fn admit_at_once(&self, headers: &HeaderMap) -> Option<Admitted> {
        if let Some(anonymous) = &self.anonymous
            && !headers.contains_key(AUTHORIZATION)
        {
            return Some(Admitted { standing: AuthContext::everybody(Arc::clone(anonymous)), ticket: None });
        }
        let key = if self.gate.asks_for_keys() { KeyHash::of(bearer(headers).ok()?) } else { KeyHash::of("") };
        let principal = self.gate.known(&key)?;
        Some(Admitted { standing: self.standing(principal, key), ticket: None })
    }

    async fn admit(&self, headers: &HeaderMap, offered: OfferedCredential) -> Result<Admitted, Refusal> {
        let (key, ticket, otherwise) = match bearer(headers) {
            Ok(secret) => (KeyHash::of(secret), None, Denied::WrongKey(mask(secret))),
            Err(Denied::ManyKeys) => return Err(Refusal::Denied(Denied::ManyKeys)),
            Err(denied) => {
                let shown = match &self.browsers {
                    Some(browsers) => browsers.accept(offered).await.map_err(Refusal::Store)?,
                    None => None,
                };
                match shown {
                    Some(Credential::Ticket(key)) => (key, Some(key), denied),
                    Some(Credential::Session(key)) => (key, None, denied),
                    None => return Err(Refusal::Denied(denied)),
                }
            }
        };
        let principal = self.gate.find(&key).await.ok_or(Refusal::Denied(otherwise))?;
        Ok(Admitted { standing: self.standing(principal, key), ticket })
    }

    /// Marks the request as that of somebody who is let in, if they may do what it asks for.
    fn mark(&self, request: &mut Request, standing: AuthContext) -> Result<(), Denied> {
        let principal = standing.principal();
        if let Some(record) = request.extensions().get::<Record>() {
            record.facts().key = Some(Arc::clone(&principal.name));
        }
        if let Some(lacking) = self.scope.filter(|scope| !principal.has(*scope)) {
            return Err(Denied::NoScope(lacking.name()));
        }
        request.extensions_mut().insert(standing);
        Ok(())
    }

    /// Whether somebody still may.
    fn standing(&self, principal: Arc<Principal>, key: KeyHash) -> AuthContext {
        AuthContext::new(principal, self.gate.keyring.as_ref().ok().cloned(), key, self.scope)
    }
}

/// Puts a [`AuthPolicy`] in front of a service.
#[derive(Clone)]
pub struct AuthenticateLayer {
    guard: Arc<AuthPolicy>,
}

impl AuthenticateLayer {
    /// Asks `guard`.
    #[must_use]
    pub fn new(guard: AuthPolicy) -> Self {
        Self { guard: Arc::new(guard) }
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate { guard: Arc::clone(&self.guard), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct Authenticate<S> {
    guard: Arc<AuthPolicy>,
    inner: S,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<S> Service<Request> for Authenticate<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Answering>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let admitted = self.guard.admit_at_once(request.headers());
        if let Some(Admitted { standing, .. }) = admitted {
            return match self.guard.mark(&mut request, standing) {
                Ok(()) => Either::Left(self.inner.call(request)),
                Err(denied) => Either::Right(Box::pin(std::future::ready(Ok(denied.answer(self.guard.surface))))),
            };
        }
        // The one that is ready is the one that is called.
        let waiting = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, waiting);
        Either::Right(Box::pin(look_closer(Arc::clone(&self.guard), request, inner)))
    }
}

async fn look_closer<S>(guard: Arc<AuthPolicy>, mut request: Request, mut inner: S) -> Result<Response, Infallible>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let offered = if guard.browsers.is_some() { OfferedCredential::by(&request) } else { OfferedCredential::default() };
    let Admitted { standing, ticket } = match guard.admit(request.headers(), offered).await {
        Ok(admitted) => admitted,
        Err(Refusal::Store(error)) => return Ok(Problem::from(error).into_response()),
        Err(Refusal::Denied(denied)) => {
            let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
            // Nothing was tried with a request that shows several keys.
            let too_many = if matches!(denied, Denied::ManyKeys) { None } else { guard.gate.slow_down(peer).await };
            let denied = too_many.map_or(denied, Denied::ManyFailures);
            return Ok(denied.answer(guard.surface));
        }
    };
    let owner = Arc::clone(&standing.principal().id);
    if let Err(denied) = guard.mark(&mut request, standing) {
        return Ok(denied.answer(guard.surface));
    }
    let exchanging =
        guard.browsers.as_ref().zip(ticket).map(|(browsers, key)| (browsers, key, request.headers().clone()));
    let response = inner.call(request).await?;
    let Some((browsers, key, asked)) = exchanging.filter(|_| comes_back(response.status())) else {
        return Ok(response);
    };
    Ok(match browsers.sessions.open(&owner, key).await {
        Ok(token) => with_cookie(response, browsers.cookie(&token, &asked)),
        Err(error) => Problem::from(error).into_response(),
    })
}

/// Whether a browser comes back to the same URL: to a stream that ended, or to one for which there was no place yet.
fn comes_back(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Adds the cookie that the browser comes back with, now that its ticket is used up.
fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// The key of `Authorization: Bearer KEY`; the scheme in any case (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Denied::NoKey)?.as_bytes().trim_ascii();
    if values.next().is_some() {
        return Err(Denied::ManyKeys);
    }
    let (scheme, key) = value.split_at_checked(b"bearer ".len()).ok_or(Denied::Malformed)?;
    let key = key.trim_ascii_start();
    // Without a branch for each byte.
    let is_visible = key.iter().fold(true, |all, byte| all & byte.is_ascii_graphic());
    let is_one = scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty() && is_visible;
    std::str::from_utf8(key).ok().filter(|_| is_one).ok_or(Denied::Malformed)
}

/// An IPv6 host has a whole /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests;
