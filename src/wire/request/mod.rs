//! A chat-completions request: looked at once, checked against the contract, forwarded as it came.
//!
//! Source of shapes and ranges: OpenAI's API reference, "Create chat completion".
//! <https://platform.openai.com/docs/api-reference/chat/create>
//!
//! Everything here is linear in the body and builds no tree: values stay the text that they are, and of members that are not
//! known nothing is kept. A body of many megabytes still takes milliseconds; see [`ChatRequest::parse`].

mod check;
mod forward;
mod given;
#[cfg(test)]
mod growth;
mod invalid;
mod known;
mod messages;
mod prompt;
mod shape;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use forward::{Forwarded, UsageAsk};
pub use given::Given;
pub use invalid::Invalid;
pub use known::Param;
pub use prompt::{BYTES_A_TOKEN, TOKENS_A_FILE, TOKENS_A_MESSAGE, TOKENS_AN_AUDIO, TOKENS_AN_IMAGE};
pub use shape::{each_element, is_empty, pick, text};

use forward::{UsageEdit, usage_edit};
use given::Reading;
use prompt::Prompt;

use super::byte_order_mark::without_mark;
use super::members::{self, span};

/// Whether parameters that the API does not know are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Passed on, and values beyond OpenAI's ranges with them: other servers know more.
    Pass,
    /// Refused with `unknown_parameter`.
    Refuse,
}

/// What requests are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How deep objects and arrays may nest.
    pub json_depth: usize,
    /// Whether parameters that the API does not know are refused.
    pub unknown: Unknown,
    /// The model that is answered here, for which OpenAI's ranges hold whatever passes on to upstreams.
    pub local_model: &'static str,
}

/// How much of a request is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    /// What routing, limits and accounting need.
    Routing,
    /// Types and ranges of OpenAI's too.
    OpenAi,
}

/// A request whose shape is that of the contract, with what routing, limits and accounting need of it.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// Checked to be UTF-8, and to be an object.
    body: Bytes,
    /// What the client asked for.
    pub model: Arc<str>,
    model_at: Range<usize>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Whether the client asked for usage on its stream.
    pub include_usage: bool,
    usage_edit: UsageEdit,
    /// How many choices; 1 if not said.
    pub n: u64,
    /// The most tokens that a choice may have, if said.
    pub max_tokens: Option<u64>,
    /// How many tokens the prompt may be.
    pub prompt_estimate: u64,
    /// The first parameter that may name other models than `model`, to servers that know it.
    pub other_models: Option<Box<str>>,
}

impl ChatRequest {
    /// Reads and checks a body; a byte-order mark before it is taken away. Takes about a millisecond a megabyte.
    ///
    /// # Errors
    /// [`Invalid`] as the contract words it, for the first thing that is wrong.
    pub fn parse(body: Bytes, rules: &Rules) -> Result<Self, Invalid> {
        let body = without_mark(body);
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| Invalid::unreadable())?;
        let given = Given::read(text, rules).map_err(|reading| match reading {
            Reading::Invalid(invalid) => invalid,
            Reading::Malformed if members::deeper_than(&body, rules.json_depth) => Invalid::too_deep(rules.json_depth),
            Reading::Malformed => Invalid::unreadable(),
        })?;
        let model = check::model(given.get(Param::Model))?;
        let strict = rules.unknown == Unknown::Refuse || &*model == rules.local_model;
        let checks = if strict { Checks::OpenAi } else { Checks::Routing };
        let stream = check::boolean("stream", given.get(Param::Stream))?;
        let options = check::stream_options(given.get(Param::StreamOptions), stream, checks)?;
        let counts = check::counts(&given, checks)?;
        if checks == Checks::OpenAi {
            check::parameters(&given)?;
        }
        let list = given.raw(Param::Messages).ok_or_else(|| Invalid::missing("messages"))?;
        let prompt = given.plain.map_or_else(|| messages::check(list, checks), Ok)?;
        Ok(Self {
            model_at: given.get(Param::Model).map(|value| span(text, value)).unwrap_or_default(),
            usage_edit: usage_edit(text, given.raw(Param::StreamOptions), &options),
            prompt_estimate: estimate(&given, prompt),
            other_models: given.other_models,
            model,
            stream,
            include_usage: options.include_usage,
            n: counts.n,
            max_tokens: counts.max_tokens,
            body,
        })
    }

    /// The body as it came, but for a byte-order mark.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The known members. Reads the body again.
    ///
    /// # Errors
    /// None that [`ChatRequest::parse`] has not found before.
    pub fn given(&self) -> Result<Given<'_>, Invalid> {
        let text = simdutf8::basic::from_utf8(&self.body).map_err(|_| Invalid::unreadable())?;
        let rules = Rules { json_depth: usize::MAX, unknown: Unknown::Pass, local_model: "" };
        Given::read(text, &rules).map_err(|_| Invalid::unreadable())
    }
}

/// The tokens of the messages, and of what else the model reads.
fn estimate(given: &Given<'_>, mut prompt: Prompt) -> u64 {
    prompt.values([Param::Tools, Param::Functions, Param::ResponseFormat].map(|param| given.get(param)));
    prompt.tokens()
}

#[cfg(test)]
mod tests;
