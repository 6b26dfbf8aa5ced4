//! The API as one service for the HTTP server.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use tower::Service;

use super::route_table::{DirectRoute, ResponseFuture, Route, Routing};
use crate::error::refused_by_engine;
use crate::http::server::{Refuser, RequestBody};
use crate::middleware::context::{ConnectionContext, ConnectionRequest};

/// Answers requests; cheap to clone.
#[derive(Clone)]
pub struct ApiService {
    router: Router,
    /// Tried before the router.
    direct: Option<DirectRoute>,
    routes: Arc<[Route]>,
    refuser: Refuser<Body>,
}

impl ApiService {
    /// Serves the routes of a table; `refuser` makes the answers to requests that the HTTP server refuses.
    pub(super) fn new(routing: Routing, refuser: Refuser<Body>) -> Self {
        let Routing { router, direct, routes } = routing;
        Self { router, direct, routes: routes.into(), refuser }
    }

    /// Every route, in the order of the table.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Makes the answers to requests that the HTTP server refuses.
    #[must_use]
    pub fn refuser(&self) -> Refuser<Body> {
        Arc::clone(&self.refuser)
    }

    /// Answers one request of a connection.
    pub fn call(&self, connection: ConnectionContext, request: Request<RequestBody>) -> ResponseFuture {
        let request = ConnectionRequest { http: request.map(Body::new), connection };
        match self.direct.as_ref().filter(|direct| direct.matches(&request.http)) {
            Some(direct) => direct.call(request),
            // On the heap: a connection keeps the memory for it while a stream runs.
            None => Box::pin(self.router.clone().call(request.into_router_request())),
        }
    }
}

/// Serves a router without any layers.
impl From<Router> for ApiService {
    fn from(router: Router) -> Self {
        Self::new(Routing { router, direct: None, routes: Vec::new() }, Arc::new(refused_by_engine))
    }
}
