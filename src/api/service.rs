//! The API as one service for the HTTP server.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use tower::Service;

use super::route_table::Route;
use crate::error::refused_by_engine;
use crate::http::server::{Refuser, RequestBody};
use crate::middleware::context::ConnectionContext;

/// A response up to its head.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Answers requests; cheap to clone.
#[derive(Clone)]
pub struct ApiService {
    router: Router,
    routes: Arc<[Route]>,
    refuser: Refuser<Body>,
}

impl ApiService {
    /// Serves `router`, which has these `routes`; `refuser` makes the answers to requests that the HTTP server
    /// refuses.
    pub(super) fn new(router: Router, routes: Vec<Route>, refuser: Refuser<Body>) -> Self {
        Self { router, routes: routes.into(), refuser }
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
    pub fn call(&self, connection: ConnectionContext, mut request: Request<RequestBody>) -> ResponseFuture {
        connection.attach(&mut request);
        // On the heap: a connection keeps the memory for it while a stream runs.
        Box::pin(self.router.clone().call(request.map(Body::new)))
    }
}

/// Serves a router without any layers.
impl From<Router> for ApiService {
    fn from(router: Router) -> Self {
        Self::new(router, Vec::new(), Arc::new(refused_by_engine))
    }
}
