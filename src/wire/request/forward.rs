//! A request as an upstream gets it: the same bytes, but for what must be changed.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::ChatRequest;
use super::check::StreamOptions;
use crate::wire::members::{patch, span};

/// Longest body that is copied to be changed, bytes. Longer ones are cut into pieces, which share its memory.
const MAX_COPIED: usize = 64 * 1024;

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

/// A body for an upstream.
#[derive(Clone, Debug)]
pub enum Forwarded<'a> {
    /// In one piece.
    Whole(Cow<'a, Bytes>),
    /// In several, in their order.
    Pieces(Vec<Bytes>),
}

impl Forwarded<'_> {
    /// Bytes of all of it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(body) => body.len(),
            Self::Pieces(pieces) => pieces.iter().map(Bytes::len).sum(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Whole(body) => body.to_vec(),
            Self::Pieces(pieces) => pieces.concat(),
        }
    }
}

/// Where and how a body that does not ask for usage is made to.
#[derive(Clone, Debug)]
pub(super) struct UsageEdit {
    at: Range<usize>,
    before: &'static str,
    after: &'static str,
    /// The client says whether every chunk shall tell usage.
    says_running: bool,
}

impl ChatRequest {
    /// The body for an upstream: the same bytes but for the model's name and for what makes a stream tell its usage.
    #[must_use]
    pub fn forward(&self, model: Option<&str>, ask: UsageAsk) -> Forwarded<'_> {
        let mut edits = Vec::new();
        if let Some(model) = model.filter(|model| *model != &*self.model) {
            edits.push((self.model_at.clone(), serde_json::Value::from(model).to_string()));
        }
        let UsageEdit { at, before, after, says_running } = &self.usage_edit;
        if self.stream && !self.include_usage && ask != UsageAsk::Nothing {
            let running = ask == UsageAsk::Running && !says_running;
            let running = if running { ",\"continuous_usage_stats\":true" } else { "" };
            edits.push((at.clone(), [*before, "true", running, *after].concat()));
        }
        if edits.is_empty() {
            return Forwarded::Whole(Cow::Borrowed(&self.body));
        }
        edits.sort_by_key(|(range, _)| range.start);
        if self.body.len() > MAX_COPIED {
            return Forwarded::Pieces(pieces(&self.body, edits));
        }
        // Checked to be UTF-8 when it was parsed.
        let text = simdutf8::basic::from_utf8(&self.body).unwrap_or_default();
        Forwarded::Whole(Cow::Owned(Bytes::from(patch(text, &edits))))
    }
}

/// The body with each range replaced; ranges are in order and do not overlap.
fn pieces(body: &Bytes, edits: Vec<(Range<usize>, String)>) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(2 * edits.len() + 1);
    let mut at = 0;
    for (range, new) in edits {
        pieces.push(body.slice(at..range.start.max(at)));
        pieces.push(Bytes::from(new));
        at = range.end.max(at);
    }
    pieces.push(body.slice(at..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Where and what to write so that `text` asks for usage. `written` is `stream_options`.
pub(super) fn usage_edit(text: &str, written: Option<&str>, options: &StreamOptions<'_>) -> UsageEdit {
    const ASK: &str = "\"include_usage\":";
    let edit = |at, before, after| UsageEdit { at, before, after, says_running: options.says_running };
    match (written, options.include_usage_value) {
        (_, Some(value)) => edit(span(text, value), "", ""),
        (Some(options), None) if options.starts_with('{') => {
            let inside = span(text, options).start + 1;
            let empty = options[1..].trim_start().starts_with('}');
            edit(inside..inside, ASK, if empty { "" } else { "," })
        }
        (Some(null), None) => edit(span(text, null), "{\"include_usage\":", "}"),
        (None, None) => {
            // A valid request has members, so a comma after ours is right.
            let inside = memchr::memchr(b'{', text.as_bytes()).map_or(0, |at| at + 1);
            edit(inside..inside, "\"stream_options\":{\"include_usage\":", "},")
        }
    }
}
