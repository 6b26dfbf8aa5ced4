//! Builds axum's router from rows of method, path, policy and handler, each behind the one stack of layers.
//!
//! One of the routes may be direct: its requests are nearly all requests, so they skip the router, which would clone
//! and box services and futures for each of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use futures_util::FutureExt;
use futures_util::future::Map;
use http::Method;
use tower::{Service, ServiceExt};

use super::not_found::{NotFound, method_not_allowed};
use super::state::{AppState, RequestState};
use crate::error::{ApiError, Surface};
use crate::middleware::context::{Admitted, ConnectionRequest, ContextRequest};
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
    pub(super) const fn method(self) -> Method {
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

/// A response up to its head.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// The route whose requests skip the router; cheap to clone. The router has it too, with the same service.
#[derive(Clone)]
pub(super) struct DirectRoute {
    route: Route,
    service: Arc<dyn Fn(ConnectionRequest) -> ResponseFuture + Send + Sync>,
}

impl DirectRoute {
    /// Whether the router would choose this route.
    pub(super) fn matches<B>(&self, request: &http::Request<B>) -> bool {
        *request.method() == self.route.method && request.uri().path() == self.route.path
    }

    pub(super) fn call(&self, request: ConnectionRequest) -> ResponseFuture {
        (self.service)(request)
    }
}

/// The router and its routes.
pub(super) struct Routing {
    pub(super) router: Router,
    pub(super) direct: Option<DirectRoute>,
    /// Every route, in the order of the table.
    pub(super) routes: Vec<Route>,
}

/// A router that is being built.
pub(super) struct RouteTable {
    stack: Stack,
    state: Arc<AppState>,
    routes: Vec<Route>,
    paths: BTreeMap<&'static str, MethodRouter>,
    direct: Option<DirectRoute>,
}

impl RouteTable {
    pub(super) const fn new(stack: Stack, state: Arc<AppState>) -> Self {
        Self { stack, state, routes: Vec::new(), paths: BTreeMap::new(), direct: None }
    }

    /// Adds a route. Each method of a path has a policy of its own; methods that the path does not have are answered
    /// 405, with or without a key.
    pub(super) fn add<H, T>(&mut self, method: RouteMethod, path: &'static str, policy: &RoutePolicy, handler: H)
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        let service = self.stack.layer(Some(path), policy.clone(), self.service(handler));
        self.add_service(method, path, service);
    }

    /// Adds a route whose handler gets the state as a whole, as that of the direct route.
    pub(super) fn add_whole<F>(
        &mut self,
        method: RouteMethod,
        path: &'static str,
        policy: &RoutePolicy,
        handler: fn(Request, RequestState) -> F,
    ) where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        let handler = HandlerService::direct(handler, Arc::clone(&self.state));
        let service = self.stack.layer(Some(path), policy.clone(), handler);
        self.add_service(method, path, service);
    }

    /// Adds the direct route. Its handler gets the state as a whole, not by extractors, which would copy each part.
    pub(super) fn add_direct<F>(
        &mut self,
        method: RouteMethod,
        path: &'static str,
        policy: &RoutePolicy,
        handler: fn(Request, RequestState) -> F,
    ) where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        let handler = HandlerService::direct(handler, Arc::clone(&self.state));
        let service = self.stack.layer(Some(path), policy.clone(), handler);
        self.add_service(method, path, service.clone());
        // Without `poll_ready`: the layers and the handler are always ready.
        let service = Arc::new(move |request| Box::pin(service.clone().call(request)) as ResponseFuture);
        self.direct = Some(DirectRoute { route: Route { method: method.method(), path }, service });
    }

    fn add_service<S>(&mut self, method: RouteMethod, path: &'static str, service: S)
    where
        S: Service<ConnectionRequest, Response = Response, Error = Infallible, Future: Send + 'static>,
        S: Clone + Send + Sync + 'static,
    {
        let service = service.map_request(ConnectionRequest::from_router_request);
        let routes = match self.paths.remove(path) {
            Some(routes) => routes,
            None => MethodRouter::new().fallback_service(self.open(Some(path), method_not_allowed)),
        };
        self.paths.insert(path, routes.on_service(method.filter(), service));
        self.routes.push(Route { method: method.method(), path });
    }

    /// The router, and its routes. All other paths are answered 404.
    pub(super) fn finish(self) -> Routing {
        let not_found = NotFound::new(self.paths.keys().copied());
        let handler = move |method, uri| std::future::ready(not_found.answer(&method, &uri));
        let fallback = self.open(None, handler);
        let router = self.paths.into_iter().fold(Router::new(), |router, (path, routes)| router.route(path, routes));
        Routing { router: router.fallback_service(fallback), direct: self.direct, routes: self.routes }
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
        let service = self.stack.layer(path, RoutePolicy::open(Surface::OpenAi), self.service(handler));
        service.map_request(ConnectionRequest::from_router_request)
    }

    fn service<H, T>(&self, handler: H) -> HandlerService
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        HandlerService::new(handler, Arc::clone(&self.state))
    }
}

/// Calls a handler with the state of one request; cheap to clone.
///
/// All handlers have this one type, so that the layers in front of them are compiled once and not for every route.
#[derive(Clone)]
struct HandlerService(Arc<dyn Fn(ContextRequest<Admitted>) -> HandlerFuture + Send + Sync>);

/// The future of every handler that is an `async fn`.
type BoxedResponse = Pin<Box<dyn Future<Output = Response> + Send>>;
type HandlerFuture = Map<BoxedResponse, fn(Response) -> Result<Response, Infallible>>;

impl HandlerService {
    fn new<H, T>(handler: H, app: Arc<AppState>) -> Self
    where
        H: Handler<T, RequestState, Future = BoxedResponse>,
        T: 'static,
    {
        Self(Arc::new(move |ContextRequest { http, context }| {
            let state = RequestState { app: Arc::clone(&app), context };
            handler.clone().call(http, state).map(Ok as fn(_) -> _)
        }))
    }

    fn direct<F>(handler: fn(Request, RequestState) -> F, app: Arc<AppState>) -> Self
    where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        Self(Arc::new(move |ContextRequest { http, context }| {
            let state = RequestState { app: Arc::clone(&app), context };
            let answer: BoxedResponse = Box::pin(handler(http, state).map(IntoResponse::into_response));
            answer.map(Ok as fn(_) -> _)
        }))
    }
}

impl Service<ContextRequest<Admitted>> for HandlerService {
    type Response = Response;
    type Error = Infallible;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ContextRequest<Admitted>) -> HandlerFuture {
        (self.0)(request)
    }
}
