//! Parsing a request of chat completions.

use bytes::Bytes;

use super::check;
use super::conversation::ConversationAt;
use super::forwarded_body::UsageEdit;
use super::inference_request::InferenceRequest;
use super::invalid_request::InvalidRequest;
use super::known_members::KnownMembers;
use super::messages;
use super::param::Param;
use super::prompt_size::PromptSize;
use super::rules::{Checks, RequestRules, UnknownMembers};
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::operation::Operation;

impl InferenceRequest {
    /// Parses and checks the body of a request of chat completions; a UTF-8 byte-order mark before it is
    /// removed. Takes about a millisecond a megabyte.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first thing that is wrong.
    pub fn chat(body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        let body = without_mark(body);
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
        let members = KnownMembers::read(text, rules).map_err(|error| error.of(&body, rules))?;
        let model = check::model(members.get(Param::Model))?;
        let strict = rules.unknown == UnknownMembers::Refuse || rules.local_model == Some(&*model);
        let checks = if strict { Checks::OpenAi } else { Checks::Routing };
        let stream = check::stream(members.get(Param::Stream))?;
        let options = check::stream_options(members.get(Param::StreamOptions), stream, checks)?;
        let counts = check::counts(&members, checks)?;
        if checks == Checks::OpenAi {
            check::parameters(&members)?;
        }
        let list = members.raw(Param::Messages).ok_or_else(|| InvalidRequest::missing("messages"))?;
        let names = [Param::PromptCacheKey, Param::User, Param::SafetyIdentifier].map(|name| members.get(name));
        let prompt = members.plain_prompt.map_or_else(|| messages::check(list, checks), Ok)?;
        Ok(Self {
            operation: Operation::Chat,
            model_at: members.get(Param::Model).map(|value| span(text, value)).unwrap_or_default(),
            conversation_at: ConversationAt::new(text, names, None, Some(list)),
            usage_edit: UsageEdit::new(text, members.raw(Param::StreamOptions), &options),
            prompt_estimate: estimate(&members, prompt),
            other_models: members.other_models,
            model,
            stream,
            include_usage: options.include_usage,
            n: counts.n,
            max_tokens: counts.max_tokens,
            body,
        })
    }
}

/// The tokens of the messages, of the tools and of the response's schema.
fn estimate(members: &KnownMembers<'_>, mut prompt: PromptSize) -> u64 {
    prompt.add_values([Param::Tools, Param::Functions, Param::ResponseFormat].map(|param| members.get(param)));
    prompt.tokens()
}
