//! A chat-completions request: looked at once, checked against the contract, forwarded as it came.
//!
//! Source of shapes and ranges: OpenAI's API reference, "Create chat completion".
//! <https://platform.openai.com/docs/api-reference/chat/create>

mod check;
mod invalid;
mod messages;
mod shape;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use invalid::Invalid;

use super::members::{self, Member, read_members, span};
use super::scan::{Malformed, Scanner};

/// Whether parameters that the API does not know are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Passed on.
    Pass,
    /// Refused with `unknown_parameter`.
    Refuse,
}

/// A request whose shape is that of the contract, with what routing, limits and accounting need of it.
#[derive(Debug)]
pub struct ChatRequest {
    /// Checked to be UTF-8.
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
    /// Bytes of the text of `messages`, as written.
    pub messages_bytes: usize,
}

/// What an upstream is asked of usage on a stream whose client did not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageAsk {
    /// Nothing.
    Nothing,
    /// Its last chunk: `include_usage`.
    Final,
    /// Every chunk, so that a stream that is cut is counted too: vLLM's `continuous_usage_stats`.
    Running,
}

/// Where and how a body that does not ask for usage is made to.
#[derive(Debug)]
struct UsageEdit {
    at: Range<usize>,
    before: &'static str,
    after: &'static str,
}

impl ChatRequest {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// [`Invalid`] as the contract words it, for the first thing that is wrong.
    pub fn parse(body: Bytes, json_depth: usize, unknown: Unknown) -> Result<Self, Invalid> {
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| Invalid::unreadable())?;
        let (all, plain) = read(text, json_depth).map_err(|_| {
            let too_deep = members::deeper_than(&body, json_depth);
            if too_deep { Invalid::too_deep(json_depth) } else { Invalid::unreadable() }
        })?;
        let fields = Fields::take(&all, unknown)?;
        let model = check::model(fields.model)?;
        let stream = check::boolean("stream", fields.stream)?;
        let options = check::stream_options(fields.stream_options, stream)?;
        let counts = check::parameters(&all)?;
        let Some(list) = fields.messages else { return Err(Invalid::missing("messages")) };
        // There is only one list of them.
        if !plain {
            messages::check(list)?;
        }
        Ok(Self {
            model_at: fields.model.map(|value| span(text, value)).unwrap_or_default(),
            usage_edit: usage_edit(text, fields.stream_options, options.include_usage_value),
            messages_bytes: list.len(),
            model,
            stream,
            include_usage: options.include_usage,
            n: counts.n.unwrap_or(1),
            max_tokens: counts.max_tokens,
            body,
        })
    }

    /// The body as it came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for an upstream: the same bytes but for the model's name and for what makes a stream tell its usage.
    #[must_use]
    pub fn forward(&self, model: Option<&str>, ask: UsageAsk) -> Cow<'_, Bytes> {
        let mut edits = Vec::new();
        if let Some(model) = model.filter(|model| *model != &*self.model) {
            edits.push((self.model_at.clone(), serde_json::Value::from(model).to_string()));
        }
        let UsageEdit { at, before, after } = &self.usage_edit;
        if self.stream && !self.include_usage && ask != UsageAsk::Nothing {
            let running = if ask == UsageAsk::Running { ",\"continuous_usage_stats\":true" } else { "" };
            edits.push((at.clone(), [*before, "true", running, *after].concat()));
        }
        if edits.is_empty() {
            return Cow::Borrowed(&self.body);
        }
        edits.sort_by_key(|(range, _)| range.start);
        // Checked to be UTF-8 when it was parsed.
        let text = simdutf8::basic::from_utf8(&self.body).unwrap_or_default();
        Cow::Owned(Bytes::from(members::patch(text, &edits)))
    }
}

/// The members of a body, and whether its messages need no further look.
fn read(text: &str, deepest: usize) -> Result<(Vec<Member<'_>>, bool), Malformed> {
    // The body itself is an object.
    let scanner = Scanner::new(text).no_deeper_than(deepest.saturating_sub(1));
    let mut plain = false;
    let all = read_members(scanner, |scanner, key| {
        let messages = if key == "messages" { messages::plain(scanner) } else { None };
        plain |= messages.is_some();
        messages.map_or_else(|| scanner.value(), Ok)
    })?;
    Ok((all, plain))
}

/// The top-level members that may stand only once, because an upstream might read another of two than we do.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a str>,
    messages: Option<&'a str>,
    stream: Option<&'a str>,
    stream_options: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn take(all: &[Member<'a>], unknown: Unknown) -> Result<Self, Invalid> {
        let mut fields = Self::default();
        for member in all {
            let place = match &*member.key {
                "model" => &mut fields.model,
                "messages" => &mut fields.messages,
                "stream" => &mut fields.stream,
                "stream_options" => &mut fields.stream_options,
                key if unknown == Unknown::Refuse && !check::is_known(key) => return Err(Invalid::unknown(key)),
                _ => continue,
            };
            if place.replace(member.value).is_some() {
                return Err(Invalid::repeated(&member.key));
            }
        }
        Ok(fields)
    }
}

/// Where and what to write so that `text` asks for usage.
fn usage_edit(text: &str, options: Option<&str>, include_usage: Option<&str>) -> UsageEdit {
    const ASK: &str = "\"include_usage\":";
    match (options, include_usage) {
        (_, Some(value)) => UsageEdit { at: span(text, value), before: "", after: "" },
        (Some(options), None) if options.starts_with('{') => {
            let inside = span(text, options).start + 1;
            let empty = options[1..].trim_start().starts_with('}');
            UsageEdit { at: inside..inside, before: ASK, after: if empty { "" } else { "," } }
        }
        (Some(null), None) => UsageEdit { at: span(text, null), before: "{\"include_usage\":", after: "}" },
        (None, None) => {
            // A valid request has members, so a comma after ours is right.
            let inside = memchr::memchr(b'{', text.as_bytes()).map_or(0, |at| at + 1);
            UsageEdit { at: inside..inside, before: "\"stream_options\":{\"include_usage\":", after: "}," }
        }
    }
}

#[cfg(test)]
mod tests;
