//! The body that is forwarded to an upstream: the client's bytes, with the model's name replaced and usage requested.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::check::StreamOptions;
use crate::wire::members::{apply_edits, span};

/// The longest body that is copied in order to change it, bytes. A longer one becomes segments that share its memory.
const MAX_COPIED: usize = 64 * 1024;

/// The usage that is requested from an upstream on a stream whose client did not request it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedUsage {
    /// None.
    None,
    /// Usage in the last chunk: `include_usage`.
    Final,
    /// Usage in every chunk, so that a stream that ends early is counted: vLLM's `continuous_usage_stats`.
    Continuous,
}

/// A request's body as it is sent to an upstream.
#[derive(Clone, Debug)]
pub enum ForwardedBody<'a> {
    /// One buffer: the client's own, or a changed copy.
    Whole(Cow<'a, Bytes>),
    /// Several buffers in order. Those that are unchanged share the client's memory.
    Segments(Vec<Bytes>),
}

impl ForwardedBody<'_> {
    /// The length, bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(body) => body.len(),
            Self::Segments(segments) => segments.iter().map(Bytes::len).sum(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A contiguous copy.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Whole(body) => body.to_vec(),
            Self::Segments(segments) => segments.concat(),
        }
    }
}

/// The edit that makes a body request usage.
#[derive(Clone, Debug)]
pub(in crate::wire) struct UsageEdit {
    at: Range<usize>,
    before: &'static str,
    after: &'static str,
    sets_continuous: bool,
}

impl UsageEdit {
    /// For a request of an API whose answers always have usage.
    pub(in crate::wire) const fn none() -> Self {
        Self { at: 0..0, before: "", after: "", sets_continuous: false }
    }

    /// The edit that makes `text` request usage. `written` is the value of `stream_options`, and `options` what it
    /// says.
    pub(super) fn new(text: &str, written: Option<&str>, options: &StreamOptions<'_>) -> Self {
        const INCLUDE_USAGE: &str = "\"include_usage\":";
        let edit = |at, before, after| Self { at, before, after, sets_continuous: options.sets_continuous };
        match (written, options.include_usage_value) {
            (_, Some(value)) => edit(span(text, value), "", ""),
            (Some(options), None) if options.starts_with('{') => {
                let inside = span(text, options).start + 1;
                let empty = options[1..].trim_start().starts_with('}');
                edit(inside..inside, INCLUDE_USAGE, if empty { "" } else { "," })
            }
            (Some(null), None) => edit(span(text, null), "{\"include_usage\":", "}"),
            (None, None) => {
                // A valid request has members, so the new one is followed by a comma.
                let inside = memchr::memchr(b'{', text.as_bytes()).map_or(0, |at| at + 1);
                edit(inside..inside, "\"stream_options\":{\"include_usage\":", "},")
            }
        }
    }

    /// The range to replace and its new text. The client's own `continuous_usage_stats` is kept.
    pub(super) fn apply(&self, usage: RequestedUsage) -> (Range<usize>, String) {
        let continuous = usage == RequestedUsage::Continuous && !self.sets_continuous;
        let continuous = if continuous { ",\"continuous_usage_stats\":true" } else { "" };
        (self.at.clone(), [self.before, "true", continuous, self.after].concat())
    }
}

/// The edit that replaces the requested model, whose JSON is at `at`, by `model`; none where it is the same.
pub(in crate::wire) fn rename(
    requested: &str,
    at: &Range<usize>,
    model: Option<&str>,
) -> Option<(Range<usize>, String)> {
    let model = model.filter(|model| *model != requested)?;
    Some((at.clone(), serde_json::Value::from(model).to_string()))
}

/// `body`, which is UTF-8, with each range replaced. Ranges do not overlap.
pub(in crate::wire) fn edited(body: &Bytes, mut edits: Vec<(Range<usize>, String)>) -> ForwardedBody<'_> {
    if edits.is_empty() {
        return ForwardedBody::Whole(Cow::Borrowed(body));
    }
    edits.sort_by_key(|(range, _)| range.start);
    if body.len() > MAX_COPIED {
        return ForwardedBody::Segments(segments(body, edits));
    }
    let text = simdutf8::basic::from_utf8(body).unwrap_or_default();
    ForwardedBody::Whole(Cow::Owned(Bytes::from(apply_edits(text, &edits))))
}

/// The body with each range replaced. Ranges are in order and do not overlap.
fn segments(body: &Bytes, edits: Vec<(Range<usize>, String)>) -> Vec<Bytes> {
    let mut segments = Vec::with_capacity(2 * edits.len() + 1);
    let mut at = 0;
    for (range, new) in edits {
        segments.push(body.slice(at..range.start.max(at)));
        segments.push(Bytes::from(new));
        at = range.end.max(at);
    }
    segments.push(body.slice(at..));
    segments.retain(|segment| !segment.is_empty());
    segments
}
