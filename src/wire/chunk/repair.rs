//! Repairs of chunks: members that a client must not see are removed, and those that SDKs need are added.

use bytes::BytesMut;

use super::choice_set::ChoiceSet;
use super::decoded_chunk::DecodedChunk;
use super::reader::ChoiceShape;
use super::tool_calls::ToolCallNumbering;
use crate::wire::members::{Member, apply_edits, elements, members, span};
use crate::wire::quirks::finish_reason;
use crate::wire::sse::{Event, push_frame, push_frame_parts};

/// The last member of OpenAI's chunks, if usage was requested; only the padding may follow.
const NULL_USAGE: &[u8] = b",\"usage\":null";
/// The padding's key. Its value, a string, follows.
const PADDING: &[u8] = b",\"obfuscation\":";

/// The changes to make in a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Remove `usage`: the client did not request it.
    pub(crate) cut_usage: bool,
    /// Remove an `error` of null, which the AI SDK takes for a failure.
    pub(crate) cut_error: bool,
    /// Make `choices` an empty array where it is none: the chunk is passed on for its usage only.
    pub(crate) add_choices: bool,
    /// Choices whose deltas lose their role. An earlier delta had one, and SDKs concatenate roles.
    pub(crate) cut_role: ChoiceSet,
    /// Choices whose deltas get a role. It is their first delta, and the Node SDK's helper fails without a role.
    pub(crate) add_role: ChoiceSet,
    /// Replace every `finish_reason` that OpenAI's API does not define.
    pub(crate) fix_finish_reason: bool,
    /// Add an `index` to tool calls that have none: without it SDKs fail or lose calls.
    pub(crate) number_tool_calls: bool,
}

impl Repair {
    /// Whether there is nothing to change.
    #[must_use]
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the only changes are removed members of the chunk's own object.
    fn only_cuts(&self) -> bool {
        let Self { cut_usage, cut_error, .. } = *self;
        *self == Self { cut_usage, cut_error, ..Self::default() }
    }
}

/// Appends a chunk, repaired, as a frame. `decoded` is what the parser returned for `event`.
pub(crate) fn push_repaired(
    out: &mut BytesMut,
    event: &Event,
    decoded: &DecodedChunk,
    repair: &Repair,
    calls: &mut ToolCallNumbering,
) {
    let one_cut = repair.only_cuts()
        && repair.cut_usage
        && decoded.removable_members == 1
        && event.verbatim.is_some()
        && event.name.is_none();
    if let Some((head, tail)) = around_null_usage(&event.data).filter(|_| one_cut) {
        // The common case: nearly every chunk of a stream on which petstream requested usage.
        return push_frame_parts(out, &[head, tail]);
    }
    // The parser has checked that it is UTF-8.
    let text = simdutf8::basic::from_utf8(&event.data).unwrap_or_default();
    push_frame(out, repaired(text, repair, calls).as_bytes());
}

/// The bytes before and behind `"usage":null`, if it is the chunk's last member or the last one before the padding. It
/// can't be part of a string, in which quotes are escaped, nor of a nested object, since the chunk's own brace follows.
fn around_null_usage(chunk: &[u8]) -> Option<(&[u8], &[u8])> {
    let members = chunk.strip_suffix(b"}")?;
    let before_padding = || {
        let padding = members.strip_suffix(b"\"")?;
        padding[..memchr::memrchr(b'"', padding)?].strip_suffix(PADDING)
    };
    let head = before_padding().unwrap_or(members).strip_suffix(NULL_USAGE)?;
    Some((head, &chunk[head.len() + NULL_USAGE.len()..]))
}

/// The chunk's JSON, repaired.
pub(super) fn repaired(text: &str, repair: &Repair, calls: &mut ToolCallNumbering) -> String {
    let text = if repair.only_cuts() { text.to_owned() } else { repair_choices(text, repair, calls) };
    let removed = |member: &Member<'_>| {
        repair.cut_error && member.key == "error" && member.value == "null" || repair.cut_usage && member.key == "usage"
    };
    remove_members(&text, removed)
}

fn repair_choices(text: &str, repair: &Repair, calls: &mut ToolCallNumbering) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let mut edits = Vec::new();
    for member in all.iter().filter(|member| member.key == "choices") {
        match elements(member.value) {
            Ok(choices) => {
                for choice in choices {
                    edits.push((span(text, choice), repair_choice(choice, repair, calls)));
                }
            }
            Err(_) if repair.add_choices => edits.push((span(text, member.value), "[]".to_owned())),
            Err(_) => {}
        }
    }
    if repair.add_choices && edits.is_empty() {
        edits.extend(insert_member(text, "\"choices\":[]"));
    }
    apply_edits(text, &edits)
}

fn repair_choice(text: &str, repair: &Repair, calls: &mut ToolCallNumbering) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let index = all.iter().rfind(|member| member.key == "index").and_then(|member| member.value.parse().ok());
    let index = index.unwrap_or(0);
    let edit = |member: &Member<'_>| match &*member.key {
        "finish_reason" if repair.fix_finish_reason => finish_reason(member.value).map(str::to_owned),
        "delta" => Some(repair_delta(member.value, index, repair, calls)),
        _ => None,
    };
    let edits = all.iter().zip(all.iter().map(edit)).filter_map(|(member, new)| Some((span(text, member.value), new?)));
    apply_edits(text, &edits.collect::<Vec<_>>())
}

fn repair_delta(text: &str, choice: u64, repair: &Repair, calls: &mut ToolCallNumbering) -> String {
    let cut = if repair.cut_role.union(repair.add_role).contains(choice) {
        // A role that is added replaces one of null.
        remove_members(text, |member| member.key == "role")
    } else {
        text.to_owned()
    };
    let Ok(all) = members(&cut) else { return cut };
    let mut edits = Vec::new();
    if repair.add_role.contains(choice) {
        edits.extend(insert_member(&cut, "\"role\":\"assistant\""));
    }
    let lists = all.iter().filter(|member| repair.number_tool_calls && member.key == "tool_calls");
    for call in lists.flat_map(|member| elements(member.value).unwrap_or_default()) {
        let Ok(all) = members(call) else { continue };
        let has_index = |member: &&Member<'_>| member.key == "index" && member.value.parse::<u64>().is_ok();
        if all.iter().any(|member| has_index(&member)) {
            continue;
        }
        let id = all.iter().find(|member| member.key == "id").map(|member| member.value.trim_matches('"'));
        let number = calls.number(choice, id.filter(|id| !id.is_empty() && *id != "null"));
        let call_without = remove_members(call, |member| member.key == "index");
        let edit = insert_member(&call_without, &format!("\"index\":{number}"));
        edits.push((span(&cut, call), apply_edits(&call_without, &edit.into_iter().collect::<Vec<_>>())));
    }
    apply_edits(&cut, &edits)
}

/// The edit that inserts a member before all others of an object.
fn insert_member(object: &str, member: &str) -> Option<(std::ops::Range<usize>, String)> {
    let at = object.find('{')? + 1;
    let comma = if object[at..].trim_start().starts_with('}') { "" } else { "," };
    Some((at..at, format!("{member}{comma}")))
}

/// The object without the members for which `removed` is true.
fn remove_members(text: &str, removed: impl Fn(&Member<'_>) -> bool) -> String {
    let Ok(all) = members(text) else { return text.to_owned() };
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for member in &all {
        let to = span(text, member.value).end;
        if !removed(member) {
            // Between two values are a comma, a key, a colon and white space.
            let start = text[from..to].find('"').map_or(from, |quote| from + quote);
            kept.push(if kept.is_empty() { '{' } else { ',' });
            kept.push_str(&text[start..to]);
        }
        from = to;
    }
    kept.push_str(if kept.is_empty() { "{}" } else { "}" });
    kept
}

/// A chunk of this shape that finishes choice `index` with `length`. Its id, model, time and other members are those of
/// `chunk`. None when `chunk` is no JSON object.
#[must_use]
pub(crate) fn last_chunk(chunk: &[u8], shape: ChoiceShape, index: u64) -> Option<String> {
    let text = std::str::from_utf8(chunk).ok()?;
    let all = members(text).ok()?;
    let edit = |member: &Member<'_>| match &*member.key {
        "choices" => {
            let empty = if shape == ChoiceShape::Text { "\"text\":\"\"" } else { "\"delta\":{}" };
            let choices = format!("[{{\"index\":{index},{empty},\"logprobs\":null,\"finish_reason\":\"length\"}}]");
            Some((span(text, member.value), choices))
        }
        "usage" => Some((span(text, member.value), "null".to_owned())),
        _ => None,
    };
    let edits: Vec<_> = all.iter().filter_map(edit).collect();
    Some(apply_edits(text, &edits))
}
