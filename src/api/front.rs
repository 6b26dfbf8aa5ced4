//! Who answers a request: completions have an entrance of their own, all else goes through axum's router.
//!
//! The router keeps what stands behind each layer on the heap, and copies it for every request. A completion passes the
//! same layers in one piece.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::Method;
use tower::Service;

use super::chat;

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

type Entrance = Arc<dyn Fn(Request) -> Answering + Send + Sync>;

/// Everything that is served; cheap to clone.
#[derive(Clone)]
pub struct Front {
    /// None: there are no completions here.
    completions: Option<Entrance>,
    others: Router,
}

impl Front {
    /// `completions` are what `POST /v1/chat/completions` comes to, `others` everything else.
    pub(super) fn new<S>(completions: S, others: Router) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
        S: Clone + Send + Sync + 'static,
    {
        // No service here has to be waited for before it is called: limits answer when they are reached.
        let entrance: Entrance = Arc::new(move |request| Box::pin(completions.clone().call(request)));
        Self { completions: Some(entrance), others }
    }

    /// Answers one request.
    pub fn answer(&self, request: Request) -> Answering {
        match &self.completions {
            Some(entrance) if *request.method() == Method::POST && request.uri().path() == chat::PATH => {
                entrance(request)
            }
            _ => Box::pin(self.others.clone().call(request)),
        }
    }
}

impl From<Router> for Front {
    fn from(others: Router) -> Self {
        Self { completions: None, others }
    }
}
