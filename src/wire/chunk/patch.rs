//! Chunks put right for clients: what is cut out of them, and what real SDKs fail without.

use bytes::BytesMut;

use super::facts::{Facts, Indices};
use crate::wire::members::{Member, elements, members, patch, span};
use crate::wire::quirks::finish_reason;
use crate::wire::sse::{Event, push_frame, push_line_of};

/// What OpenAI says in every chunk but the last, once usage is asked for: behind everything else but the padding.
const NULL_USAGE: &[u8] = b",\"usage\":null";
/// What stands before the padding's own opening quote.
const PADDING: &[u8] = b",\"obfuscation\":";
/// Longest id of a tool call by which it is known again, bytes.
const MAX_ID: usize = 256;

/// What is to be changed in a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// The client is not to see usage.
    pub cut_usage: bool,
    /// An `error` of null is cut out, which the AI SDK takes for a failure.
    pub cut_error: bool,
    /// A client that asked for usage gets it on a chunk whose `choices` is not a list: makes it one.
    pub add_choices: bool,
    /// Choices whose deltas lose their role: they have had one, and SDKs join one to the other.
    pub cut_role: Indices,
    /// Choices whose deltas get a role: it is their first one, and Node's helper fails without.
    pub add_role: Indices,
    /// A `finish_reason` that ends nothing becomes null, and one of a provider's own the contract's.
    pub finish: bool,
    /// Tool calls get numbers: without, SDKs fail or lose them.
    pub number_calls: bool,
}

impl Repair {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether members of the chunk itself are cut out and that is all.
    fn only_cuts(&self) -> bool {
        let Self { cut_usage, cut_error, .. } = *self;
        *self == Self { cut_usage, cut_error, ..Self::default() }
    }
}

/// The tool calls of a stream whose upstream does not number them.
#[derive(Debug, Default)]
pub struct Calls(Vec<Counted>);

/// The calls of one choice.
#[derive(Debug)]
struct Counted {
    choice: u64,
    count: u64,
    /// The id of the last of them.
    id: String,
}

impl Calls {
    /// The number of a call of this choice that has none: the same id or no id goes on with the last one.
    fn number(&mut self, choice: u64, id: Option<&str>) -> u64 {
        let at = self.0.iter().position(|one| one.choice == choice).unwrap_or_else(|| {
            self.0.push(Counted { choice, count: 0, id: String::new() });
            self.0.len() - 1
        });
        let one = &mut self.0[at];
        let id = id.filter(|id| id.len() <= MAX_ID);
        if one.count == 0 || id.is_some_and(|id| id != one.id) {
            one.count += 1;
            one.id = id.unwrap_or_default().to_owned();
        }
        one.count - 1
    }
}

/// Appends a chunk as a frame, put right. `facts` are those of this chunk.
pub fn push_repaired(out: &mut BytesMut, chunk: &Event, facts: &Facts, repair: &Repair, calls: &mut Calls) {
    let alone = repair.only_cuts() && repair.cut_usage && facts.hideable == 1 && chunk.verbatim.is_some();
    if let Some((head, tail)) = around_null_usage(&chunk.data).filter(|_| alone) {
        // As good as every chunk of some streams.
        return push_line_of(out, &[head, tail]);
    }
    // Checked to be UTF-8 when it was looked at.
    let text = simdutf8::basic::from_utf8(&chunk.data).unwrap_or_default();
    push_frame(out, repaired(text, repair, calls).as_bytes());
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

/// The chunk's text, put right.
pub(super) fn repaired(text: &str, repair: &Repair, calls: &mut Calls) -> String {
    let text = if repair.only_cuts() { text.to_owned() } else { with_choices(text, repair, calls) };
    let hidden = |member: &Member<'_>| {
        repair.cut_error && member.key == "error" && member.value == "null" || repair.cut_usage && member.key == "usage"
    };
    without(&text, hidden)
}

fn with_choices(text: &str, repair: &Repair, calls: &mut Calls) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let mut edits = Vec::new();
    for member in all.iter().filter(|member| member.key == "choices") {
        match elements(member.value) {
            Ok(choices) => {
                for choice in choices {
                    edits.push((span(text, choice), repaired_choice(choice, repair, calls)));
                }
            }
            Err(_) if repair.add_choices => edits.push((span(text, member.value), "[]".to_owned())),
            Err(_) => {}
        }
    }
    if repair.add_choices && edits.is_empty() {
        edits.extend(inside(text, "\"choices\":[]"));
    }
    patch(text, &edits)
}

fn repaired_choice(text: &str, repair: &Repair, calls: &mut Calls) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let index = all.iter().rfind(|member| member.key == "index").and_then(|member| member.value.parse().ok());
    let index = index.unwrap_or(0);
    let edit = |member: &Member<'_>| match &*member.key {
        "finish_reason" if repair.finish => finish_reason(member.value).map(str::to_owned),
        "delta" => Some(repaired_delta(member.value, index, repair, calls)),
        _ => None,
    };
    let edits = all.iter().zip(all.iter().map(edit)).filter_map(|(member, new)| Some((span(text, member.value), new?)));
    patch(text, &edits.collect::<Vec<_>>())
}

fn repaired_delta(text: &str, choice: u64, repair: &Repair, calls: &mut Calls) -> String {
    let cut = if repair.cut_role.with(repair.add_role).contains(choice) {
        // One that is to be added replaces one that says nothing.
        without(text, |member| member.key == "role")
    } else {
        text.to_owned()
    };
    let Ok(all) = members(&cut) else { return cut };
    let mut edits = Vec::new();
    if repair.add_role.contains(choice) {
        edits.extend(inside(&cut, "\"role\":\"assistant\""));
    }
    let lists = all.iter().filter(|member| repair.number_calls && member.key == "tool_calls");
    for call in lists.flat_map(|member| elements(member.value).unwrap_or_default()) {
        let Ok(all) = members(call) else { continue };
        let numbered = |member: &&Member<'_>| member.key == "index" && member.value.parse::<u64>().is_ok();
        if all.iter().any(|member| numbered(&member)) {
            continue;
        }
        let id = all.iter().find(|member| member.key == "id").map(|member| member.value.trim_matches('"'));
        let number = calls.number(choice, id.filter(|id| !id.is_empty() && *id != "null"));
        let call_without = without(call, |member| member.key == "index");
        let edit = inside(&call_without, &format!("\"index\":{number}"));
        edits.push((span(&cut, call), patch(&call_without, &edit.into_iter().collect::<Vec<_>>())));
    }
    patch(&cut, &edits)
}

/// How a member is written into an object, before all others.
fn inside(object: &str, member: &str) -> Option<(std::ops::Range<usize>, String)> {
    let at = object.find('{')? + 1;
    let comma = if object[at..].trim_start().starts_with('}') { "" } else { "," };
    Some((at..at, format!("{member}{comma}")))
}

/// The object without these of its members.
pub(super) fn without(text: &str, hidden: impl Fn(&Member<'_>) -> bool) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for member in &all {
        let to = span(text, member.value).end;
        if !hidden(member) {
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
    Some(patch(text, &edits))
}
