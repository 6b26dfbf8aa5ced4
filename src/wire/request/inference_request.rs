//! A request of any operation, and its body for an upstream.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::conversation::ConversationAt;
use super::forwarded_body::{ForwardedBody, RequestedUsage, UsageEdit, edited, rename};
use super::invalid_request::InvalidRequest;
use super::known_members::KnownMembers;
use super::rules::{RequestRules, UnknownMembers};
use crate::wire::operation::Operation;

/// A request that passed all checks, with what routing, limits and accounting need of it.
///
/// ```
/// use petstream::wire::request::{InferenceRequest, RequestRules, RequestedUsage, UnknownMembers};
///
/// let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: Some("petstore-ai") };
/// let body = r#"{"model":"big","stream":true,"messages":[{"role":"user","content":"Hello!"}],"top_k":3}"#;
/// let request = InferenceRequest::chat(body.into(), &rules).expect("a valid request");
/// assert_eq!((&*request.model, request.stream, request.n, request.max_tokens), ("big", true, 1, None));
///
/// // Forwarded as it came, but for the model's name and for the usage that petstream wants to know.
/// let forwarded = request.forward(Some("big-v2"), RequestedUsage::Final).to_vec();
/// assert!(forwarded.starts_with(br#"{"stream_options":{"include_usage":true},"model":"big-v2","stream":true"#));
///
/// let invalid = InferenceRequest::chat(r#"{"model":"big"}"#.into(), &rules).unwrap_err();
/// assert_eq!(invalid.message, "Missing required parameter: 'messages'.");
/// ```
#[derive(Clone, Debug)]
pub struct InferenceRequest {
    /// The operation that is asked for.
    pub operation: Operation,
    /// A JSON object in UTF-8.
    pub(in crate::wire) body: Bytes,
    /// The requested model; 1 to 256 characters.
    pub model: Arc<str>,
    pub(in crate::wire) model_at: Range<usize>,
    /// Whether the client requested a stream; default false.
    pub stream: bool,
    /// Whether the client requested usage on its stream; default false.
    pub include_usage: bool,
    pub(in crate::wire) usage_edit: UsageEdit,
    pub(in crate::wire) conversation_at: ConversationAt,
    /// The number of choices; default 1.
    pub n: u64,
    /// The largest number of tokens of a choice; none where the client set no limit.
    pub max_tokens: Option<u64>,
    /// An estimate of the prompt's tokens.
    pub prompt_estimate: u64,
    /// The path of the first parameter with which some server would use another model than `model`.
    pub other_models: Option<Box<str>>,
}

impl InferenceRequest {
    /// The client's body without its byte-order mark.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// A hash of what names the conversation: `prompt_cache_key`, `conversation`, `user`, `safety_identifier` or
    /// `metadata.user_id`, as far as the API has them; otherwise of the instructions and the first user message, which
    /// all turns repeat. The same on every machine for the same `seed`. None where the request has neither, and for
    /// embeddings, where nothing is gained. Reads at most 256 KiB of the prompt.
    #[must_use]
    pub fn conversation(&self, seed: u64) -> Option<u64> {
        self.conversation_at.hash(&self.body, seed)
    }

    /// The members of a request of chat completions that OpenAI's API defines. Reads the body again.
    ///
    /// # Errors
    /// [`InvalidRequest`], but never for a body that [`InferenceRequest::chat`] accepted.
    pub fn members(&self) -> Result<KnownMembers<'_>, InvalidRequest> {
        let text = simdutf8::basic::from_utf8(&self.body).map_err(|_| InvalidRequest::unreadable())?;
        let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model: None };
        KnownMembers::read(text, &rules).map_err(|_| InvalidRequest::unreadable())
    }

    /// The body for an upstream: the client's bytes with the model's name replaced by `model`, if it is given, and
    /// with `usage` requested on a stream whose client did not request it.
    #[must_use]
    pub fn forward(&self, model: Option<&str>, usage: RequestedUsage) -> ForwardedBody<'_> {
        let renamed = rename(&self.model, &self.model_at, model);
        let asks_for_usage = self.stream && !self.include_usage && usage != RequestedUsage::None;
        let asking = asks_for_usage.then(|| self.usage_edit.apply(usage));
        edited(&self.body, [renamed, asking].into_iter().flatten().collect())
    }
}
