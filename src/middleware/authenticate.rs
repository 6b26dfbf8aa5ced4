//! Authentication and scopes: 401 and 403 in the format of the route's surface.
//!
//! Decides before the handler runs: a key that expires during an answer does not cut it. Passes the principal on as an
//! [`AuthContext`]. Where browsers are accepted, a valid ticket is exchanged for a cookie.
//!
//! Nearly every request has a key that is in memory. It passes without waiting, so without a boxed future.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use http::header::{ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower::{Layer, Service};

use super::authenticator::Authenticator;
use super::context::ContextRequest;
use super::offered_key::{has_key, offered_key};
use crate::auth::browser_credential::{Browsers, Credential, OfferedCredential};
use crate::auth::context::AuthContext;
use crate::auth::keyring::{Keyring, Principal};
use crate::error::problem::Problem;
use crate::error::{Denied, Surface};
use crate::store::StoreError;
use crate::wire::api_key::{KeyHash, Scope, mask};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The access to a route.
#[derive(Clone)]
pub enum AuthPolicy {
    /// Public. Keys are not checked; the request gets this principal, and the log names no key.
    Open(Arc<Principal>),
    /// Requests with a key.
    Key {
        /// The scope that the key needs; none: any valid key.
        scope: Option<Scope>,
        /// Accepts browsers' tickets and cookies instead of a key; none: it does not.
        browsers: Option<Browsers>,
        /// The principal of requests without a key; none: they are refused.
        anonymous: Option<Arc<Principal>>,
    },
}

impl AuthPolicy {
    /// Requires a key with `scope`, if any is given, and accepts nothing else.
    #[must_use]
    pub const fn key(scope: Option<Scope>) -> Self {
        Self::Key { scope, browsers: None, anonymous: None }
    }
}

/// Puts authentication in front of a service.
#[derive(Clone)]
pub struct AuthenticateLayer {
    check: Arc<Check>,
}

/// The checks of each request of a route.
struct Check {
    authenticator: Authenticator,
    policy: AuthPolicy,
    surface: Surface,
}

impl AuthenticateLayer {
    /// Refuses what `policy` does not allow, in the format of `surface`.
    #[must_use]
    pub fn new(authenticator: Authenticator, policy: AuthPolicy, surface: Surface) -> Self {
        Self { check: Arc::new(Check { authenticator, policy, surface }) }
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate { check: Arc::clone(&self.check), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct Authenticate<S> {
    check: Arc<Check>,
    inner: S,
}

type SlowFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<S> Service<ContextRequest> for Authenticate<S>
where
    S: Service<ContextRequest<AuthContext>, Response = Response, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, SlowFuture>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ContextRequest) -> Self::Future {
        if let Some(auth) = self.check.authenticate_known(&request) {
            return match self.check.authorize(request, auth) {
                Ok(request) => Either::Left(self.inner.call(request)),
                Err(denied) => {
                    let response = denied.to_response(self.check.surface);
                    Either::Right(Box::pin(std::future::ready(Ok(response))))
                }
            };
        }
        // The service that is ready is the one that is called.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Either::Right(Box::pin(authenticate_slow(Arc::clone(&self.check), request, inner)))
    }
}

/// Authenticates a request whose key is not known yet, or that a browser has sent.
async fn authenticate_slow<S>(check: Arc<Check>, request: ContextRequest, mut inner: S) -> Result<Response, Infallible>
where
    S: Service<ContextRequest<AuthContext>, Response = Response, Error = Infallible>,
{
    let browsers = check.browsers();
    let offered = if browsers.is_some() { OfferedCredential::of(&request.http) } else { OfferedCredential::default() };
    let Authenticated { auth, ticket } = match check.authenticate(request.http.headers(), offered).await {
        Ok(authenticated) => authenticated,
        Err(Failed::Store(error)) => return Ok(Problem::from(error).into_response()),
        Err(Failed::Denied(denied)) => {
            // A request with several keys is ambiguous; it does not count as an attempt to guess one. Nor does a key that
            // can't be checked.
            let guessed = !matches!(denied, Denied::SeveralKeys | Denied::KeysUnread);
            let wait = if guessed { check.authenticator.throttle_failures(request.context.client).await } else { None };
            let denied = wait.map_or(denied, Denied::TooManyFailures);
            return Ok(denied.to_response(check.surface));
        }
    };
    let owner = Arc::clone(&auth.principal().id);
    let exchange = browsers.zip(ticket).map(|(browsers, key)| (browsers, key, request.http.headers().clone()));
    let request = match check.authorize(request, auth) {
        Ok(request) => request,
        Err(denied) => return Ok(denied.to_response(check.surface)),
    };
    let response = inner.call(request).await?;
    let Some((browsers, key, headers)) = exchange.filter(|_| is_retried(response.status())) else {
        return Ok(response);
    };
    Ok(match browsers.sessions.open(&owner, key).await {
        Ok(token) => with_cookie(response, browsers.cookie(&token, &headers)),
        Err(error) => Problem::from(error).into_response(),
    })
}

/// A request that has passed authentication.
struct Authenticated {
    auth: AuthContext,
    /// The key of the ticket that was used up for it.
    ticket: Option<KeyHash>,
}

/// Why a request has not.
enum Failed {
    Denied(Denied),
    Store(StoreError),
}

impl Check {
    /// Authenticates a request if that takes no waiting; none: [`Check::authenticate`] has to.
    fn authenticate_known(&self, request: &ContextRequest) -> Option<AuthContext> {
        let headers = request.http.headers();
        let (scope, anonymous) = match &self.policy {
            AuthPolicy::Open(principal) => return Some(AuthContext::without_key(Arc::clone(principal))),
            AuthPolicy::Key { scope, anonymous, .. } => (*scope, anonymous),
        };
        // A key in the request is meant for it, and takes the place of the certificate of the connection.
        let certificates = request.context.connection.certificates.as_deref().unwrap_or_default();
        let certificates = if certificates.is_empty() || is_cross_site(headers) { &[] } else { certificates };
        if (anonymous.is_some() || !certificates.is_empty()) && !has_key(headers) {
            let known = |key: &KeyHash| Some(self.context(self.authenticator.find_known(key)?, *key, scope));
            let anonymous = || anonymous.as_ref().map(|anonymous| AuthContext::without_key(Arc::clone(anonymous)));
            if let Some(auth) = certificates.iter().find_map(known).or_else(anonymous) {
                return Some(auth);
            }
        }
        let secret = if self.authenticator.requires_keys() { offered_key(headers).ok()? } else { "" };
        let key = KeyHash::of(secret);
        let principal = self.authenticator.find_known(&key)?;
        Some(self.context(principal, key, scope))
    }

    async fn authenticate(&self, headers: &HeaderMap, offered: OfferedCredential) -> Result<Authenticated, Failed> {
        let (key, ticket, otherwise) = match offered_key(headers) {
            Ok(secret) => (KeyHash::of(secret), None, Denied::WrongKey(mask(secret))),
            Err(Denied::SeveralKeys) => return Err(Failed::Denied(Denied::SeveralKeys)),
            Err(denied) => {
                let credential = match self.browsers() {
                    Some(browsers) => browsers.accept(offered).await.map_err(Failed::Store)?,
                    None => None,
                };
                match credential {
                    Some(Credential::Ticket(key)) => (key, Some(key), denied),
                    Some(Credential::Session(key)) => (key, None, denied),
                    None => return Err(Failed::Denied(denied)),
                }
            }
        };
        let Some(principal) = self.authenticator.find(&key).await else {
            let unread = self.authenticator.may_be_unread();
            return Err(Failed::Denied(if unread { Denied::KeysUnread } else { otherwise }));
        };
        Ok(Authenticated { auth: self.context(principal, key, self.scope()), ticket })
    }

    /// Passes the request on with `auth`, if that has the scope of the route. The key is named in the log in any case.
    fn authorize(&self, request: ContextRequest, auth: AuthContext) -> Result<ContextRequest<AuthContext>, Denied> {
        let principal = auth.principal();
        if matches!(self.policy, AuthPolicy::Key { .. }) {
            request.context.record.facts().key = Some(Arc::clone(&principal.name));
        }
        if let Some(missing) = self.scope().filter(|scope| !principal.has(*scope)) {
            return Err(Denied::NoScope(missing.name()));
        }
        Ok(request.with_caller(|()| auth))
    }

    fn context(&self, principal: Arc<Principal>, key: KeyHash, scope: Option<Scope>) -> AuthContext {
        AuthContext::of_key(principal, self.authenticator.keyring().map(Keyring::current), key, scope)
    }

    const fn scope(&self) -> Option<Scope> {
        match &self.policy {
            AuthPolicy::Open(_) => None,
            AuthPolicy::Key { scope, .. } => *scope,
        }
    }

    const fn browsers(&self) -> Option<&Browsers> {
        match &self.policy {
            AuthPolicy::Open(_) => None,
            AuthPolicy::Key { browsers, .. } => browsers.as_ref(),
        }
    }
}

/// Whether a page of another site has caused the request. A browser adds the certificate to it as it adds cookies, without
/// the page's knowledge of any secret, so the certificate stands for no key then (Fetch Metadata, section 2.2; browsers
/// that do not send `sec-fetch-site` send `origin`).
fn is_cross_site(headers: &HeaderMap) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => site != "same-origin" && site != "none",
        None => headers.contains_key(ORIGIN),
    }
}

/// Whether a browser requests the same URL again after an answer with this status: after the end of a stream, or an
/// error that passes.
fn is_retried(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Adds the cookie with which the browser reconnects, now that its ticket is used up.
fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
