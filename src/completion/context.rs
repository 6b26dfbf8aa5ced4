//! The input of a completion beside its request: the shared handles and settings, and the caller.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::auth::keyring::Principal;
use crate::bound::{Bound, Grant};
use crate::config::{Config, Limits};
use crate::limiter::Admission;
use crate::offload::Offload;
use crate::responder::{MODEL, Responder};
use crate::telemetry::metrics::{Metrics, ModelMetrics};
use crate::telemetry::record::Record;
use crate::time::{ResponseDeadline, ShutdownSignal, TaskTimer};
use crate::upstream::Routes;
use crate::usage::UsageRecorder;

/// The services that completions are built from.
pub struct CompletionParts {
    /// The local model, unless it is switched off.
    pub responder: Option<Responder>,
    /// The remote models.
    pub routes: Arc<Routes>,
    /// Takes the usage records.
    pub usage_recorder: UsageRecorder,
    /// Translates large requests.
    pub offload: Offload,
    /// The process's metrics.
    pub metrics: Metrics,
    /// Ends running completions with an error; their connections must be polled when it is raised.
    pub abort: ShutdownSignal,
}

/// Handles and settings of all completions; cheap to clone.
#[derive(Clone)]
pub(super) struct Context {
    /// The local model, unless it is switched off.
    pub(super) local: Option<LocalModel>,
    pub(super) routes: Arc<Routes>,
    pub(super) usage_recorder: UsageRecorder,
    pub(super) offload: Offload,
    pub(super) metrics: Metrics,
    /// Bounds the memory of upstreams' answers.
    pub(super) answers: Bound,
    pub(super) limits: Limits,
    pub(super) tokens_per_second: Option<f64>,
    /// How long the status of a stream is held back while it is opened.
    pub(super) hold: Duration,
    pub(super) heartbeat: Duration,
    pub(super) abort: ShutdownSignal,
}

/// The local model and its metrics.
#[derive(Clone)]
pub(super) struct LocalModel {
    pub(super) responder: Responder,
    pub(super) metrics: Arc<ModelMetrics>,
}

impl Context {
    /// `previous` is what the memory of answers is shared with.
    pub(super) fn new(config: &Config, parts: CompletionParts, previous: Option<&Self>) -> Self {
        let CompletionParts { responder, routes, usage_recorder, offload, metrics, abort } = parts;
        let (total, share) = (config.limits.answers_total, config.limits.answers_of_a_key());
        Self {
            local: responder.map(|responder| LocalModel { responder, metrics: metrics.model(MODEL) }),
            routes,
            usage_recorder,
            offload,
            metrics,
            answers: previous
                .map_or_else(|| Bound::new(total, share), |before| before.answers.with_limits(total, share)),
            limits: config.limits,
            tokens_per_second: config.responder.tokens_per_second,
            hold: config.hold,
            heartbeat: config.heartbeat,
            abort,
        }
    }
}

/// An authenticated client and its request, without the body.
pub struct Caller {
    /// The key's owner.
    pub principal: Arc<Principal>,
    /// The rate limits that the request has passed, and takes its permit and tokens from.
    pub admission: Admission,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's record.
    pub record: Record,
    /// The memory that the request's body takes, given back when it is dropped.
    pub memory: Grant,
    /// The deadline of the response, enforced by the owner of the socket.
    pub ends_at: ResponseDeadline,
    /// The timer of the task that serves the connection.
    pub timer: TaskTimer,
}
