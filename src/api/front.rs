//! Who answers a request: completions have an entrance of their own, all else goes through axum's router.
//!
//! The router keeps what stands behind each layer on the heap, and copies it for every request. A completion passes the
//! same layers in one piece, which each connection has for itself.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::Method;
use tower::Service;

use super::chat;
use crate::error::refused_by_engine;
use crate::http::server::Refuser;

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

type Completions = Box<dyn FnMut(Request) -> Answering + Send>;

/// Everything that is served; cheap to clone.
#[derive(Clone)]
pub struct Front {
    /// None: there are no completions here.
    completions: Option<Arc<dyn Fn() -> Completions + Send + Sync>>,
    others: Router,
    refuser: Refuser<Body>,
}

/// One connection's way to it.
pub struct Entrance {
    completions: Option<Completions>,
    others: Router,
}

impl Front {
    /// `completions` are what `POST /v1/chat/completions` comes to, `others` everything else.
    pub(super) fn new<S>(completions: S, others: Router, refuser: Refuser<Body>) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
        S: Clone + Send + Sync + 'static,
    {
        let completions = move || -> Completions {
            let mut completions = completions.clone();
            // No service here has to be waited for before it is called: limits answer when they are reached.
            Box::new(move |request| Box::pin(completions.call(request)))
        };
        Self { completions: Some(Arc::new(completions)), others, refuser }
    }

    /// What answers requests that the HTTP engine refuses.
    #[must_use]
    pub fn refuser(&self) -> Refuser<Body> {
        Arc::clone(&self.refuser)
    }

    /// For one connection.
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        Entrance {
            completions: self.completions.as_ref().map(|completions| completions()),
            others: self.others.clone(),
        }
    }
}

impl From<Router> for Front {
    fn from(others: Router) -> Self {
        Self { completions: None, others, refuser: Arc::new(refused_by_engine) }
    }
}

impl Entrance {
    /// Answers one request.
    pub fn answer(&mut self, request: Request) -> Answering {
        match &mut self.completions {
            Some(completions) if *request.method() == Method::POST && request.uri().path() == chat::PATH => {
                completions(request)
            }
            _ => Box::pin(self.others.clone().call(request)),
        }
    }
}
