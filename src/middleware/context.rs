//! The context of a request, which the layers in front of a handler fill, as types.
//!
//! [`RequestLog`](super::request_log) takes a [`ConnectionRequest`] and makes the context from its
//! [`ConnectionContext`]; each further layer is a service of the [`ContextRequest`] that the layer before it passes on. `authenticate` turns a `ContextRequest` into
//! a `ContextRequest<AuthContext>`, `rate_limit` that into a `ContextRequest<Admitted>`, which is what handlers take:
//! a route without one of the layers, or with two of them in the wrong order, does not compile.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;

use crate::auth::context::AuthContext;
use crate::limiter::Admission;
use crate::telemetry::record::Record;
use crate::time::{ResponseDeadline, TaskTimer};
use crate::wire::api_key::KeyHash;

/// The context of the connection that a request came on.
///
/// It is the only thing that goes through axum's router as an extension of the request:
/// [`ConnectionRequest::into_router_request`] puts it there, and [`ConnectionRequest::from_router_request`] takes it
/// out behind the router.
#[derive(Clone, Debug, Default)]
pub struct ConnectionContext {
    /// The address of the peer, or of the client that it names by the PROXY protocol; none behind a unix socket.
    pub peer: Option<SocketAddr>,
    /// What the names in the client's certificate stand for in the keyring; none without a certificate.
    pub certificates: Option<Arc<[KeyHash]>>,
    /// When the answer must be over: set by the handler, observed by the owner of the socket.
    pub deadline: ResponseDeadline,
    /// The timer of the task that serves the connection.
    pub timer: TaskTimer,
}

/// A request with the context of its connection: what the outermost layer takes.
pub struct ConnectionRequest {
    /// The request.
    pub http: Request,
    /// The connection.
    pub connection: ConnectionContext,
}

impl ConnectionRequest {
    /// The request for axum's router, with the context as an extension.
    #[must_use]
    pub fn into_router_request(self) -> Request {
        let Self { mut http, connection } = self;
        http.extensions_mut().insert(connection);
        http
    }

    /// The request that axum's router has handed on. One without a context gets the default: an unknown peer, and a
    /// deadline that nothing observes.
    #[must_use]
    pub fn from_router_request(mut http: Request) -> Self {
        let connection = http.extensions_mut().remove().unwrap_or_default();
        Self { http, connection }
    }
}

/// The context of a request. `C` is its caller: `()` at first, an [`AuthContext`] behind `authenticate`, [`Admitted`]
/// behind `rate_limit`.
#[derive(Clone)]
pub struct RequestContext<C = ()> {
    /// The connection.
    pub connection: ConnectionContext,
    /// The client's address: the peer's, or the one that a trusted proxy names; none behind a unix socket.
    pub client: Option<IpAddr>,
    /// The request's id, and the contents of its line in the log.
    pub record: Record,
    /// The caller.
    pub caller: C,
}

/// A caller that has passed authentication and the limit of requests.
#[derive(Clone)]
pub struct Admitted {
    /// The principal of the request.
    pub auth: AuthContext,
    /// The admission by the limits.
    pub admission: Admission,
}

/// A request with its context.
pub struct ContextRequest<C = ()> {
    /// The request.
    pub http: Request,
    /// The context from the layers.
    pub context: RequestContext<C>,
}

impl<C> ContextRequest<C> {
    /// The same request with another caller; `add` makes it from the one before.
    pub(super) fn with_caller<D>(self, add: impl FnOnce(C) -> D) -> ContextRequest<D> {
        let Self { http, context: RequestContext { connection, client, record, caller } } = self;
        ContextRequest { http, context: RequestContext { connection, client, record, caller: add(caller) } }
    }
}

#[cfg(test)]
impl From<Request> for ContextRequest {
    fn from(http: Request) -> Self {
        let connection = ConnectionContext::default();
        let record = Record::begin("req_test", connection.timer.clone());
        let context = RequestContext { connection, client: None, record, caller: () };
        Self { http, context }
    }
}
