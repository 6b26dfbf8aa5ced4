//! Builds axum's router from rows of method, path, policy and handler, each behind the one stack of layers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use futures_util::FutureExt;
use futures_util::future::Map;
use http::Method;
use tower::Service;

use super::not_found::{NotFound, method_not_allowed};
use super::state::{AppState, RequestState};
use crate::error::Surface;
use crate::middleware::context::{Admitted, ContextRequest};
use crate::middleware::stack::{RoutePolicy, Stack};

/// A method of a path. GET answers HEAD too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path template: `/api/pets/{id}`.
    pub path: &'static str,
}

/// The methods that a route may have.
#[derive(Clone, Copy)]
pub(super) enum RouteMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl RouteMethod {
    const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// A router that is being built.
pub(super) struct RouteTable {
    stack: Stack,
    state: Arc<AppState>,
    routes: Vec<Route>,
    paths: BTreeMap<&'static str, MethodRouter>,
}

impl RouteTable {
    pub(super) const fn new(stack: Stack, state: Arc<AppState>) -> Self {
        Self { stack, state, routes: Vec::new(), paths: BTreeMap::new() }
    }

    /// Adds a route. Each method of a path has a policy of its own; methods that the path does not have are answered
    /// 405, with or without a key.
    pub(super) fn add<H, T>(&mut self, method: RouteMethod, path: &'static str, policy: &RoutePolicy, handler: H)
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        let service = self.stack.layer(Some(path), policy.clone(), self.service(handler));
        let routes = match self.paths.remove(path) {
            Some(routes) => routes,
            None => MethodRouter::new().fallback_service(self.open(Some(path), method_not_allowed)),
        };
        self.paths.insert(path, routes.on_service(method.filter(), service));
        self.routes.push(Route { method: method.method(), path });
    }

    /// The router, and its routes. All other paths are answered 404.
    pub(super) fn finish(self) -> (Router, Vec<Route>) {
        let not_found = NotFound::new(self.paths.keys().copied());
        let handler = move |method, uri| std::future::ready(not_found.answer(&method, &uri));
        let fallback = self.open(None, handler);
        let router = self.paths.into_iter().fold(Router::new(), |router, (path, routes)| router.route(path, routes));
        (router.fallback_service(fallback), self.routes)
    }

    /// A handler behind the layers of an open route.
    fn open<H, T>(
        &self,
        path: Option<&str>,
        handler: H,
    ) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
    + use<H, T>
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        self.stack.layer(path, RoutePolicy::open(Surface::OpenAi), self.service(handler))
    }

    fn service<H, T>(&self, handler: H) -> HandlerService
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        HandlerService::new(handler, Arc::clone(&self.state))
    }
}

/// Calls an axum handler with the state of one request; cheap to clone.
///
/// All handlers have this one type, so that the layers in front of them are compiled once and not for every route.
#[derive(Clone)]
struct HandlerService {
    handler: Arc<dyn Fn(Request, RequestState) -> HandlerFuture + Send + Sync>,
    app: Arc<AppState>,
}

/// The future of every handler that is an `async fn`.
type BoxedResponse = Pin<Box<dyn Future<Output = Response> + Send>>;
type HandlerFuture = Map<BoxedResponse, fn(Response) -> Result<Response, Infallible>>;

impl HandlerService {
    fn new<H, T>(handler: H, app: Arc<AppState>) -> Self
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        let handler = move |http, state| handler.clone().call(http, state).map(Ok as fn(_) -> _);
        Self { handler: Arc::new(handler), app }
    }
}

impl Service<ContextRequest<Admitted>> for HandlerService {
    type Response = Response;
    type Error = Infallible;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ContextRequest { http, context }: ContextRequest<Admitted>) -> HandlerFuture {
        (self.handler)(http, RequestState { app: Arc::clone(&self.app), context })
    }
}
