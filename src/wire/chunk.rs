//! One frame of an upstream's chat stream: what a relay must know of it, found without building a tree.
//!
//! One pass checks that the frame is well-formed UTF-8 JSON and picks up the few members that matter.

use std::ops::Range;
use std::sync::LazyLock;

use bytes::BytesMut;
use memchr::memmem::Finder;

use super::envelope::{ErrorBody, read_error};
use super::members::{Member, members, span};
use super::pattern::{self, Pattern};
use super::scan::Scanner;
use super::sse::{Event, push_frame, push_line_of};

pub use super::scan::Malformed;

static CONTENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"content\""));

/// How deep texts lie in a delta: those of a tool call's function.
const DELTA_DEPTH: u8 = 4;
/// What OpenAI says in every chunk but the last, once usage is asked for: behind everything else but the padding.
const NULL_USAGE: &[u8] = b",\"usage\":null";
/// What stands before the padding's own opening quote.
const PADDING: &[u8] = b",\"obfuscation\":";

/// What a frame is.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// `[DONE]`.
    Done,
    /// An error object; `None` where it has no readable message.
    Error(Option<ErrorBody>),
    /// A chunk.
    Chunk(Facts),
}

/// What a relay must know of a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The choices that this chunk finishes; most chunks: none.
    pub finished: Vec<u64>,
    /// The choices that this chunk has a delta for; filled only with [`Depth::Choices`].
    pub seen: Vec<u64>,
    /// Token counts, if the chunk carries them.
    pub usage: Option<Usage>,
    /// `choices` is there and empty.
    pub no_choices: bool,
    /// Members of the two kinds below, and usage.
    pub hideable: u32,
    /// It has a member that no client is to see: `"error":null`, which the AI SDK takes for a failure.
    pub null_error: bool,
    /// It has a member that only clients who asked for usage are to see: `"usage":null`.
    pub null_usage: bool,
}

/// Token counts as upstreams report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion, reasoning included.
    pub completion_tokens: u64,
}

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// At how choices end.
    #[default]
    Keys,
    /// At every choice: streams with more than one.
    Choices,
}

/// Looks at the frames of one stream, one after the other.
#[derive(Debug)]
pub struct Looker {
    depth: Depth,
    /// How the last chunk began that was read from its beginning: up to its choices, if that says nothing to us. All chunks
    /// of most streams begin so.
    head: String,
    /// That of the last chunk that carried text and nothing else, and what such a chunk says.
    usual: Option<(Pattern, Facts)>,
    /// A chunk is not made a pattern before another one came: the first one names the role, and is like no other.
    begun: bool,
    /// How many patterns may still be tried: in some streams no two chunks are alike.
    tries: u8,
}

/// Longest beginning of a chunk that is kept for as long as the stream goes on, bytes.
const MOST_HEAD: usize = 1024;

/// Patterns that are tried in vain before a stream's frames are all read in full.
const TRIES: u8 = 8;

impl Looker {
    /// A look as close as `depth` says.
    #[must_use]
    pub const fn new(depth: Depth) -> Self {
        Self { depth, head: String::new(), usual: None, begun: false, tries: TRIES }
    }

    /// Looks at the data of one frame.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn look(&mut self, data: &[u8]) -> Result<Frame, Malformed> {
        if data == b"[DONE]" || data.trim_ascii() == b"[DONE]" {
            return Ok(Frame::Done);
        }
        let text = simdutf8::basic::from_utf8(data).map_err(|_| Malformed)?;
        if let Some((pattern, facts)) = &self.usual
            && pattern.fits(text)
        {
            self.tries = TRIES;
            return Ok(Frame::Chunk(facts.clone()));
        }
        let (frame, texts) = self.read(text)?;
        if let Frame::Chunk(facts) = &frame
            && facts.is_usual()
            && std::mem::replace(&mut self.begun, true)
            && self.tries > 0
        {
            self.tries -= 1;
            self.usual = Pattern::of(text, &texts).map(|pattern| (pattern, facts.clone()));
        }
        Ok(frame)
    }
}

impl Facts {
    /// Whether the chunk carries text and nothing else.
    fn is_usual(&self) -> bool {
        self.finished.is_empty() && self.usage.is_none() && !self.null_error && !self.no_choices
    }
}

impl Looker {
    /// Reads one frame; tells also where the texts that streams are about stand in it.
    fn read(&mut self, text: &str) -> Result<(Frame, Vec<Range<usize>>), Malformed> {
        let mut reading = Reading { depth: self.depth, ..Reading::default() };
        let mut scanner = Scanner::from(text, self.head.len());
        if self.head.is_empty() || !text.starts_with(&self.head) {
            scanner = Scanner::new(text);
            scanner.object(|scanner, key| reading.member(scanner, &key))?;
            self.head.clear();
            if reading.head <= MOST_HEAD {
                self.head.push_str(&text[..reading.head]);
            }
        } else {
            reading.choices(&mut scanner)?;
            scanner.further_members(|scanner, key| reading.member(scanner, &key))?;
        }
        scanner.end()?;
        let Reading { facts, texts, has_choices, has_error, .. } = reading;
        if has_error {
            return Ok((Frame::Error(error_of(text)), texts));
        }
        // `{"object":"error","message":…}`, `{"detail":…}`: errors in other shapes.
        let other = if has_choices { None } else { error_of(text) };
        Ok((other.map_or(Frame::Chunk(facts), |error| Frame::Error(Some(error))), texts))
    }
}

/// What a frame has said so far.
#[derive(Default)]
struct Reading {
    depth: Depth,
    facts: Facts,
    texts: Vec<Range<usize>>,
    has_choices: bool,
    has_error: bool,
    /// A member came that says something to us.
    has_said: bool,
    /// How long the frame is up to the value of its choices; 0 where something before them says something to us.
    head: usize,
}

impl Reading {
    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        let facts = &mut self.facts;
        match key {
            "choices" => {
                if !self.has_said {
                    self.head = scanner.at();
                }
                return self.choices(scanner);
            }
            "usage" => {
                facts.hideable += 1;
                match scanner.value()? {
                    "null" => facts.null_usage = true,
                    usage => facts.usage = read_usage(usage),
                }
            }
            "error" if scanner.value()? == "null" => {
                facts.hideable += 1;
                facts.null_error = true;
            }
            "error" => self.has_error = true,
            // OpenAI's padding, as long as a chunk's text is short.
            "obfuscation" => pattern::texts(scanner, 0, &mut self.texts)?,
            _ => return scanner.value().map(drop),
        }
        self.has_said = true;
        Ok(())
    }

    /// Reads the value of `choices`.
    fn choices(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        (self.has_choices, self.has_said) = (true, true);
        choices(scanner, self.depth, &mut self.facts, &mut self.texts)
    }
}

/// Reads the value of `choices`.
fn choices(
    scanner: &mut Scanner<'_>,
    depth: Depth,
    facts: &mut Facts,
    texts: &mut Vec<Range<usize>>,
) -> Result<(), Malformed> {
    if scanner.peek() == Some(b'n') {
        return scanner.value().map(drop);
    }
    facts.no_choices = true;
    scanner.array(|scanner| {
        facts.no_choices = false;
        let (mut index, mut finished) = (0, false);
        scanner.object(|scanner, key| {
            match &*key {
                "index" => index = scanner.value()?.parse().unwrap_or(0),
                "finish_reason" => finished = scanner.value()? != "null",
                "delta" => pattern::texts(scanner, DELTA_DEPTH, texts)?,
                _ => drop(scanner.value()?),
            }
            Ok(())
        })?;
        if depth == Depth::Choices {
            facts.seen.push(index);
        }
        if finished {
            facts.finished.push(index);
        }
        Ok(())
    })
}

/// Whether a first chunk only names the role, as those of most servers do.
#[must_use]
pub fn is_without_text(data: &[u8]) -> bool {
    values_after(simdutf8::basic::from_utf8(data).unwrap_or_default(), &CONTENT)
        .any(|value| value.starts_with("\"\"") || value.starts_with("null"))
}

/// A last chunk for choice `index`, after the pattern of `chunk`: the same id, model and time, no text, and `length` as
/// the reason. None when `chunk` is no chunk.
#[must_use]
pub fn last_chunk(chunk: &[u8], index: u64) -> Option<String> {
    let text = std::str::from_utf8(chunk).ok()?;
    let all = members(text).ok()?;
    let edit = |member: &Member<'_>| match &*member.key {
        "choices" => {
            let choices =
                format!("[{{\"index\":{index},\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"length\"}}]");
            Some((span(text, member.value), choices))
        }
        "usage" => Some((span(text, member.value), "null".to_owned())),
        _ => None,
    };
    let edits: Vec<_> = all.iter().filter_map(edit).collect();
    Some(super::members::patch(text, &edits))
}

/// Reads the `usage` object of an answer or a chunk.
#[must_use]
pub fn read_usage(json: &str) -> Option<Usage> {
    #[derive(serde::Deserialize)]
    struct Raw {
        #[serde(default)]
        prompt_tokens: Option<u64>,
        #[serde(default)]
        completion_tokens: Option<u64>,
    }
    if let Ok(usage) = read_plain_usage(json) {
        return Some(usage);
    }
    let raw: Raw = serde_json::from_str(json).ok()?;
    (raw.prompt_tokens.is_some() || raw.completion_tokens.is_some()).then(|| Usage {
        prompt_tokens: raw.prompt_tokens.unwrap_or(0),
        completion_tokens: raw.completion_tokens.unwrap_or(0),
    })
}

/// As [`read_usage`], of an object that has both counts once, which is as good as all.
fn read_plain_usage(json: &str) -> Result<Usage, Malformed> {
    let (mut prompt, mut completion) = (None, None);
    let mut scanner = Scanner::new(json);
    scanner.object(|scanner, key| {
        let value = scanner.value()?;
        let place = match &*key {
            "prompt_tokens" => &mut prompt,
            "completion_tokens" => &mut completion,
            _ => return Ok(()),
        };
        let count = value.parse().map_err(|_| Malformed)?;
        if place.replace(count).is_some() { Err(Malformed) } else { Ok(()) }
    })?;
    scanner.end()?;
    match (prompt, completion) {
        (Some(prompt_tokens), Some(completion_tokens)) => Ok(Usage { prompt_tokens, completion_tokens }),
        _ => Err(Malformed),
    }
}

/// The text from each value on that follows the key.
fn values_after<'a>(text: &'a str, key: &'a Finder<'_>) -> impl Iterator<Item = &'a str> {
    key.find_iter(text.as_bytes()).filter_map(|at| {
        let after = text.get(at + key.needle().len()..)?.trim_ascii_start();
        Some(after.strip_prefix(':')?.trim_ascii_start())
    })
}

fn error_of(text: &str) -> Option<ErrorBody> {
    serde_json::from_str(text).ok().as_ref().and_then(read_error)
}

/// Appends a chunk as a frame without the members that a client is not to see: `"error":null` in any case, with `usage`
/// also the usage. `facts` are those of this chunk.
pub fn push_without(out: &mut BytesMut, chunk: &Event, facts: &Facts, usage: bool) {
    let alone = usage && facts.hideable == 1 && chunk.verbatim.is_some();
    match around_null_usage(&chunk.data).filter(|_| alone) {
        // As good as every chunk of some streams.
        Some((head, tail)) => push_line_of(out, &[head, tail]),
        None => {
            // Checked to be UTF-8 when it was looked at.
            let text = simdutf8::basic::from_utf8(&chunk.data).unwrap_or_default();
            push_frame(out, without(text, usage).as_bytes());
        }
    }
}

/// What stands on both sides of `"usage":null` where it is the chunk's last member, or the last before its padding. In a
/// text no quote stands without a backslash, and the chunk's last brace closes the chunk: so what is found is a member of
/// the chunk itself.
fn around_null_usage(chunk: &[u8]) -> Option<(&[u8], &[u8])> {
    let members = chunk.strip_suffix(b"}")?;
    let before_padding = || {
        let padding = members.strip_suffix(b"\"")?;
        padding[..memchr::memrchr(b'"', padding)?].strip_suffix(PADDING)
    };
    let head = before_padding().unwrap_or(members).strip_suffix(NULL_USAGE)?;
    Some((head, &chunk[head.len() + NULL_USAGE.len()..]))
}

fn without(text: &str, usage: bool) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for member in &all {
        let to = span(text, member.value).end;
        let hidden = member.key == "error" && member.value == "null" || member.key == "usage" && usage;
        if !hidden {
            // Between two values stand a comma, a key and white space.
            let start = text[from..to].find('"').map_or(from, |quote| from + quote);
            kept.push(if kept.is_empty() { '{' } else { ',' });
            kept.push_str(&text[start..to]);
        }
        from = to;
    }
    kept.push_str(if kept.is_empty() { "{}" } else { "}" });
    kept
}

#[cfg(test)]
mod tests;
