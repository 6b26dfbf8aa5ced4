//! One completion from end to end: allowed model, tokens reserved -> answer -> usage settled.
//!
//! A stream is one body that pulls: from the local model's pieces, or from the upstream's connection. There is no task
//! and no queue between the upstream and the client, so a slow client slows the upstream and a client that leaves
//! takes the upstream's connection with it.

mod buffered;
mod choices;
mod error_answer;
mod event_kind;
mod frame_buffer;
mod local;
mod memory;
mod open;
mod response_head;
mod retry;
mod sniff;
mod streaming;
mod timeouts;
mod transcode;
mod usage_fallback;
mod usage_guard;
mod wake_flag;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use http::HeaderMap;

use crate::auth::keyring::Principal;
use crate::bound::{Bound, Grant};
use crate::config::{Config, Limits};
use crate::error::ApiError;
use crate::limiter::Admission;
use crate::responder::{MODEL, Responder};
use crate::telemetry::metrics::{Metrics, ModelMetrics};
use crate::telemetry::record::Record;
use crate::time::{ResponseDeadline, ShutdownSignal, TaskTimer};
use crate::upstream::{Route, Routes};
use crate::usage::UsageRecorder;
use crate::wire::request::{ChatRequest, InvalidRequest};

use open::ProxyRequest;
use usage_guard::UsageGuard;

/// Most of a model's name that is logged, characters: a client can name a model as it likes.
const MAX_NAME: usize = 200;

/// An answer on its way, up to its head.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send + 'a>>;

/// Handles to everything that serves completions; cheap to clone.
#[derive(Clone)]
pub struct CompletionService {
    responder: Responder,
    routes: Arc<Routes>,
    usage_recorder: UsageRecorder,
    metrics: Metrics,
    /// The memory for answers.
    answers: Bound,
    /// Those of the local model.
    local: Arc<ModelMetrics>,
    limits: Limits,
    tokens_per_second: Option<f64>,
    hold: Duration,
    heartbeat: Duration,
    /// Ends running completions with an error. Connections are polled when it is raised.
    abort: ShutdownSignal,
}

/// Who asks, and what is known of the asking.
pub struct Caller {
    /// The key's owner.
    pub principal: Arc<Principal>,
    /// What the rate limits have left for it.
    pub admission: Admission,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's record.
    pub record: Record,
    /// The share of the memory for bodies that the request's body takes: given back when it is no longer held.
    pub memory: Grant,
    /// When the answer must be over, for the owner of the socket.
    pub ends_at: ResponseDeadline,
    /// The timer of the task that serves the connection.
    pub timer: TaskTimer,
}

/// What a relay is made of.
pub struct Parts {
    /// The local model.
    pub responder: Responder,
    /// The remote ones.
    pub routes: Arc<Routes>,
    /// Where usage is recorded.
    pub usage_recorder: UsageRecorder,
    /// Where it is measured.
    pub metrics: Metrics,
    /// Ends running completions with an error; their connections must be polled when it is raised.
    pub abort: ShutdownSignal,
}

impl CompletionService {
    /// A relay between these models.
    #[must_use]
    pub fn new(config: &Config, parts: Parts) -> Self {
        let Parts { responder, routes, usage_recorder, metrics, abort } = parts;
        Self {
            responder,
            routes,
            usage_recorder,
            local: metrics.model(MODEL),
            metrics,
            answers: Bound::new(config.limits.answers_total, config.limits.answers_of_a_key()),
            limits: config.limits,
            tokens_per_second: config.responder.tokens_per_second,
            hold: config.hold,
            heartbeat: config.heartbeat,
            abort,
        }
    }

    /// Takes on one chat completion; the future answers it, with an error if it fails before the answer's first byte.
    ///
    /// # Errors
    /// [`ApiError`] when there is no such model for the caller, or the limits have nothing left.
    pub fn complete(
        &self,
        caller: Caller,
        request: ChatRequest,
    ) -> Result<impl Future<Output = Result<Response, ApiError>> + Send, ApiError> {
        caller.record.facts().model = Some(beginning(&request.model));
        if !caller.principal.may_use(&request.model) {
            return Err(ApiError::no_model(&request.model));
        }
        if let (Some(_), Some(param)) = (&caller.principal.models, &request.other_models) {
            return Err(InvalidRequest::other_models(param).into());
        }
        let route = self.route(&request.model)?;
        let metrics = route.as_ref().map_or(&self.local, |route| route.metrics());
        let account =
            UsageGuard::open(&caller, &request, &self.usage_recorder, metrics, &self.abort).map_err(|limited| {
                self.metrics.refused(limited.reason(), limited.whose.name());
                ApiError::from(&limited)
            })?;
        caller.ends_at.end_with_client();
        let order = Box::new(ProxyRequest {
            request,
            client: caller.headers,
            memory: caller.memory,
            ends_at: caller.ends_at,
            timer: caller.timer,
            arrival: caller.record.started(),
            frame_limit: self.limits.frame,
            answer: self.answers.empty_grant(&caller.principal.id),
        });
        let mut answer = self.answer(account, route, order);
        // A stream that has begun says so itself.
        Ok(poll_fn(move |cx| {
            if self.abort.is_raised() { Poll::Ready(Err(ApiError::shutting_down())) } else { answer.as_mut().poll(cx) }
        }))
    }

    /// On the heap: what each kind needs differs, and the room for the largest would be copied with every request.
    fn answer(&self, account: Box<UsageGuard>, route: Option<Arc<Route>>, order: Box<ProxyRequest>) -> Answer<'_> {
        match (route, order.request.stream) {
            (None, _) => Box::pin(local::complete(self, account, order)),
            (Some(route), true) => Box::pin(streaming::stream(self, account, route, order)),
            (Some(route), false) => Box::pin(buffered::complete(self, account, route, order)),
        }
    }

    /// Where the model is served; none: here.
    fn route(&self, model: &str) -> Result<Option<Arc<Route>>, ApiError> {
        if model == MODEL {
            return Ok(None);
        }
        self.routes.find(model).map(|route| Some(Arc::clone(route))).ok_or_else(|| ApiError::no_model(model))
    }
}

/// As much of a model's name as is logged.
fn beginning(name: &Arc<str>) -> Arc<str> {
    // Bytes are never fewer than characters.
    let end = if name.len() > MAX_NAME { name.char_indices().nth(MAX_NAME) } else { None };
    end.map_or_else(|| Arc::clone(name), |(end, _)| name[..end].into())
}
