//! A request to upstreams: the part that is the same for every target.

use http::HeaderMap;
use tokio::time::Instant;

use super::client_format::ClientFormat;
use super::context::{Caller, Context};
use super::translation::{Translated, Translation};
use crate::bound::Grant;
use crate::time::{ResponseDeadline, TaskTimer};
use crate::upstream::{SessionKey, Target};
use crate::wire::operation::Operation;
use crate::wire::request::{InferenceRequest, RequestedUsage};

/// See the module.
pub(super) struct ProxyRequest {
    /// The request as upstreams get it: one for a chat completion where the client's is translated.
    pub(super) request: InferenceRequest,
    /// The operation that the client asks for.
    pub(super) operation: Operation,
    /// What the answer is translated to.
    pub(super) translation: Option<Translation>,
    /// The session, where the choice of a target depends on it.
    pub(super) session: Option<SessionKey>,
    pub(super) client_headers: HeaderMap,
    /// The memory of the request's body.
    #[expect(dead_code, reason = "given back by its drop")]
    memory: Grant,
    pub(super) ends_at: ResponseDeadline,
    pub(super) timer: TaskTimer,
    /// When the request arrived.
    pub(super) arrival: Instant,
    /// Longest event of a stream, bytes.
    pub(super) frame_limit: usize,
    /// Of the memory for answers, for this key: none yet.
    pub(super) answer_memory: Grant,
}

impl ProxyRequest {
    /// A request of `session` that the client asks as `operation`.
    pub(super) fn new(
        context: &Context,
        caller: Caller,
        operation: Operation,
        session: Option<SessionKey>,
        (request, translation): Translated,
    ) -> Box<Self> {
        Box::new(Self {
            request,
            operation,
            translation,
            session,
            client_headers: caller.headers,
            memory: caller.memory,
            ends_at: caller.ends_at,
            timer: caller.timer,
            arrival: caller.record.started(),
            frame_limit: context.limits.frame,
            answer_memory: context.answers.empty_grant(&caller.principal.id),
        })
    }

    /// The format of a stream to the client, whose translation keeps at most `limit` bytes. Takes the translation.
    pub(super) fn take_format(&mut self, limit: usize) -> ClientFormat {
        ClientFormat::new(self.operation, self.translation.take(), limit)
    }

    /// Whether the client gets the usage of a stream.
    pub(super) const fn shows_usage(&self) -> bool {
        self.request.include_usage || self.translation.is_some()
    }

    /// Whether usage is requested from `target` although the client did not request it.
    pub(super) fn adds_usage(&self, target: &Target) -> bool {
        target.requested_usage() != RequestedUsage::None && !self.request.include_usage
    }

    /// Whether that usage is on every chunk.
    pub(super) fn adds_running_usage(&self, target: &Target) -> bool {
        target.requested_usage() == RequestedUsage::Continuous && !self.request.include_usage
    }
}
