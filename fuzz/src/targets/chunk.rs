//! Frames of chat streams, one on each line of the input: what is read of a frame is what a tree of it says, and a reader
//! that takes short cuts, since it has seen the frames before, says the same as one that has not.

use petstream::wire::chunk::{ChunkParser, DecodedChunk, Malformed, ParsedFrame, Usage, parse_completion};
use petstream::wire::envelope::read_error;
use petstream::wire::quirks::is_generated_text;

use crate::reference::json::{elements, members};

/// How deep texts may lie in a delta.
const DEPTH: u8 = 5;
const REASONS: [&str; 5] = ["\"stop\"", "\"length\"", "\"tool_calls\"", "\"content_filter\"", "\"function_call\""];

/// Tries one input.
///
/// # Panics
/// Where something is wrong.
pub fn run(data: &[u8]) {
    let mut looker = ChunkParser::default();
    for frame in data.split(|byte| *byte == b'\n') {
        for frame in alike(frame) {
            let expected = expected(&frame);
            assert_eq!(ChunkParser::default().parse(&frame), expected, "read for the first time");
            assert_eq!(looker.parse(&frame), expected, "read behind others");
            assert_eq!(parse_completion(&frame), read(&frame, "message"), "read as an answer");
        }
    }
}

/// Frames that a short cut may take for this one, last of all the frame itself.
fn alike(frame: &[u8]) -> [Vec<u8>; 4] {
    let short = &frame[..frame.len().saturating_sub(1)];
    [short.to_vec(), [frame, b"}"].concat(), [frame, b" "].concat(), frame.to_vec()]
}

fn expected(frame: &[u8]) -> Result<ParsedFrame, Malformed> {
    if frame.trim_ascii() == b"[DONE]" { Ok(ParsedFrame::Done) } else { read(frame, "delta") }
}

/// What a frame says; `place`: the member of a choice that holds what is generated.
fn read(frame: &[u8], place: &str) -> Result<ParsedFrame, Malformed> {
    let text = std::str::from_utf8(frame).map_err(|_| Malformed)?;
    let mut facts = DecodedChunk::default();
    let mut has_error = false;
    for (key, value) in members(text).ok_or(Malformed)? {
        match (key.as_str(), value) {
            ("choices", list) if list.starts_with('[') => {
                facts.has_choices = true;
                for choice in elements(list).ok_or(Malformed)? {
                    has_error |= note_choice(choice, place, &mut facts)?;
                }
            }
            ("usage", value) => {
                facts.removable_members += 1;
                facts.null_usage |= value == "null";
                facts.has_usage |= value != "null";
                note_usage(value, &mut facts);
            }
            ("x_groq", object) if object.starts_with('{') => {
                let inside = members(object).ok_or(Malformed)?;
                inside.iter().filter(|(key, _)| key == "usage").for_each(|(_, value)| note_usage(value, &mut facts));
            }
            ("error", "null") => {
                facts.removable_members += 1;
                facts.null_error = true;
            }
            ("error", _) => has_error = true,
            _ => {}
        }
    }
    let error = || serde_json::from_str(text).ok().as_ref().and_then(read_error);
    Ok(match error() {
        error if has_error => ParsedFrame::Error(error),
        _ if facts.has_choices => ParsedFrame::Chunk(facts),
        Some(error) => ParsedFrame::Error(Some(error)),
        None if facts.usage.is_some() => ParsedFrame::Chunk(facts),
        None => ParsedFrame::Other,
    })
}

/// Notes what a choice says; whether it is an error.
fn note_choice(choice: &str, place: &str, facts: &mut DecodedChunk) -> Result<bool, Malformed> {
    let all = members(choice).ok_or(Malformed)?;
    // The last one counts.
    let last = |name: &str| all.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
    let index = last("index").and_then(|index| index.parse().ok()).unwrap_or(0);
    facts.seen.insert(index);
    if last("finish_reason").is_some_and(|reason| reason.starts_with('"') && reason != "\"\"") {
        facts.finished.insert(index);
    }
    let (mut has_error, mut has_text, mut has_role) = (false, false, false);
    for (key, value) in &all {
        match key.as_str() {
            "finish_reason" if *value != "null" => {
                has_error |= *value == "\"error\"";
                facts.nonstandard_finish |= !REASONS.contains(value);
            }
            "usage" => note_usage(value, facts),
            "error" => has_error |= *value != "null",
            key if key == place && value.starts_with('{') => {
                for (key, value) in members(value).ok_or(Malformed)? {
                    match key.as_str() {
                        "role" => has_role |= value.starts_with('"') && value != "\"\"",
                        "tool_calls" => has_text |= note_calls(value, facts)?,
                        key => has_text |= finds_text(value, is_generated_text(key), DEPTH)?,
                    }
                }
            }
            _ => {}
        }
    }
    if has_role {
        facts.roles.insert(index);
    }
    facts.tokens += u32::from(has_text);
    Ok(has_error)
}

fn note_calls(calls: &str, facts: &mut DecodedChunk) -> Result<bool, Malformed> {
    if !calls.starts_with('[') {
        return Ok(false);
    }
    let mut found = false;
    for call in elements(calls).ok_or(Malformed)?.into_iter().filter(|call| call.starts_with('{')) {
        let all = members(call).ok_or(Malformed)?;
        let number = all.iter().rev().find(|(key, _)| key == "index").map(|(_, value)| *value);
        facts.tool_call_without_index |= number.is_none_or(|number| number.parse::<u64>().is_err());
        for (key, value) in all.iter().filter(|(key, _)| key != "index") {
            found |= finds_text(value, is_generated_text(key), DEPTH - 2)?;
        }
    }
    Ok(found)
}

/// Whether there is a text in it that is not empty, in a place where texts count.
fn finds_text(value: &str, counts: bool, depth: u8) -> Result<bool, Malformed> {
    let mut found = false;
    match value.as_bytes()[0] {
        b'"' => found = counts && value != "\"\"",
        b'{' if depth > 0 => {
            for (key, value) in members(value).ok_or(Malformed)? {
                found |= finds_text(value, is_generated_text(&key), depth - 1)?;
            }
        }
        b'[' if depth > 0 => {
            for value in elements(value).ok_or(Malformed)? {
                found |= finds_text(value, counts, depth - 1)?;
            }
        }
        _ => {}
    }
    Ok(found)
}

/// Of several counts the greatest.
fn note_usage(value: &str, facts: &mut DecodedChunk) {
    let Some(more) = usage(value) else { return };
    let before = facts.usage.unwrap_or_default();
    facts.usage = Some(Usage {
        prompt_tokens: before.prompt_tokens.max(more.prompt_tokens),
        completion_tokens: before.completion_tokens.max(more.completion_tokens),
    });
}

/// Token counts: at least one of them, each a whole number, and none twice.
fn usage(value: &str) -> Option<Usage> {
    let all = members(value)?;
    let count = |name: &str| -> Option<u64> {
        // What is no number before the first that is one does not count.
        let named = all.iter().filter(|(key, _)| key == name).map(|(_, value)| value.parse().ok());
        let found: Vec<Option<u64>> = named.skip_while(Option::is_none).collect();
        if let [Some(count)] = found[..] { Some(count) } else { None }
    };
    let prompt = count("prompt_tokens").or_else(|| count("input_tokens"));
    let completion = count("completion_tokens").or_else(|| count("output_tokens"));
    (prompt.is_some() || completion.is_some())
        .then(|| Usage { prompt_tokens: prompt.unwrap_or(0), completion_tokens: completion.unwrap_or(0) })
}
