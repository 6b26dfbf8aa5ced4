//! Chunks of chat streams, one on each line of the input. The parser's result equals that of a slow reader on
//! serde_json, both for a new parser and for one that has parsed other frames and so takes short cuts.

use petstream::wire::chunk::{ChoiceShape, ChunkParser, DecodedChunk, Malformed, ParsedFrame, Usage, parse_completion};
use petstream::wire::envelope::read_error;
use petstream::wire::quirks::is_generated_text;

use crate::reference::json::{elements, members};

/// How deep a delta is searched for text.
const DEPTH: u8 = 5;
const REASONS: [&str; 5] = ["\"stop\"", "\"length\"", "\"tool_calls\"", "\"content_filter\"", "\"function_call\""];

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let mut parser = ChunkParser::default();
    for frame in data.split(|byte| *byte == b'\n') {
        for frame in similar(frame) {
            let expected = expected(&frame);
            assert_eq!(ChunkParser::default().parse(&frame), expected, "a new parser");
            assert_eq!(parser.parse(&frame), expected, "a parser of other frames");
            let completion = parse_completion(&frame, ChoiceShape::Message).map(|completion| completion.frame);
            assert_eq!(completion, read(&frame, "message"), "parsed as a whole completion");
        }
    }
}

/// Frames that a short cut may confuse with this one, and the frame itself last.
fn similar(frame: &[u8]) -> [Vec<u8>; 4] {
    let short = &frame[..frame.len().saturating_sub(1)];
    [short.to_vec(), [frame, b"}"].concat(), [frame, b" "].concat(), frame.to_vec()]
}

fn expected(frame: &[u8]) -> Result<ParsedFrame, Malformed> {
    if frame.trim_ascii() == b"[DONE]" { Ok(ParsedFrame::Done) } else { read(frame, "delta") }
}

/// Reads a frame. `content_key` is the member of a choice with the generated text: `delta` or `message`.
fn read(frame: &[u8], content_key: &str) -> Result<ParsedFrame, Malformed> {
    let text = std::str::from_utf8(frame).map_err(|_| Malformed)?;
    let mut chunk = DecodedChunk::default();
    let mut has_error = false;
    for (key, value) in members(text).ok_or(Malformed)? {
        match (key.as_str(), value) {
            ("choices", list) if list.starts_with('[') => {
                chunk.has_choices = true;
                for choice in elements(list).ok_or(Malformed)? {
                    has_error |= read_choice(choice, content_key, &mut chunk)?;
                }
            }
            ("usage", value) => {
                chunk.removable_members += 1;
                chunk.null_usage |= value == "null";
                chunk.has_usage |= value != "null";
                read_usage(value, &mut chunk);
            }
            ("x_groq", object) if object.starts_with('{') => {
                let inside = members(object).ok_or(Malformed)?;
                inside.iter().filter(|(key, _)| key == "usage").for_each(|(_, value)| read_usage(value, &mut chunk));
            }
            ("error", "null") => {
                chunk.removable_members += 1;
                chunk.null_error = true;
            }
            ("error", _) => has_error = true,
            _ => {}
        }
    }
    let error = || serde_json::from_str(text).ok().as_ref().and_then(read_error);
    Ok(match error() {
        error if has_error => ParsedFrame::Error(error),
        _ if chunk.has_choices => ParsedFrame::Chunk(chunk),
        Some(error) => ParsedFrame::Error(Some(error)),
        None if chunk.usage.is_some() => ParsedFrame::Chunk(chunk),
        None => ParsedFrame::Other,
    })
}

/// Reads a choice; returns whether it has an error.
fn read_choice(choice: &str, content_key: &str, chunk: &mut DecodedChunk) -> Result<bool, Malformed> {
    let all = members(choice).ok_or(Malformed)?;
    // The last of repeated members counts.
    let last = |name: &str| all.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
    let index = last("index").and_then(|index| index.parse().ok()).unwrap_or(0);
    chunk.seen.insert(index);
    if last("finish_reason").is_some_and(|reason| reason.starts_with('"') && reason != "\"\"") {
        chunk.finished.insert(index);
    }
    let (mut has_error, mut has_text, mut has_role) = (false, false, false);
    for (key, value) in &all {
        match key.as_str() {
            "finish_reason" if *value != "null" => {
                has_error |= *value == "\"error\"";
                chunk.nonstandard_finish |= !REASONS.contains(value);
            }
            "usage" => read_usage(value, chunk),
            "error" => has_error |= *value != "null",
            key if key == content_key && value.starts_with('{') => {
                for (key, value) in members(value).ok_or(Malformed)? {
                    match key.as_str() {
                        "role" => has_role |= value.starts_with('"') && value != "\"\"",
                        "tool_calls" => has_text |= read_tool_calls(value, chunk)?,
                        key => has_text |= has_text_in(value, is_generated_text(key), DEPTH)?,
                    }
                }
            }
            _ => {}
        }
    }
    if has_role {
        chunk.roles.insert(index);
    }
    chunk.tokens += u32::from(has_text);
    Ok(has_error)
}

fn read_tool_calls(calls: &str, chunk: &mut DecodedChunk) -> Result<bool, Malformed> {
    if !calls.starts_with('[') {
        return Ok(false);
    }
    let mut found = false;
    for call in elements(calls).ok_or(Malformed)?.into_iter().filter(|call| call.starts_with('{')) {
        let all = members(call).ok_or(Malformed)?;
        let number = all.iter().rev().find(|(key, _)| key == "index").map(|(_, value)| *value);
        chunk.tool_call_without_index |= number.is_none_or(|number| number.parse::<u64>().is_err());
        for (key, value) in all.iter().filter(|(key, _)| key != "index") {
            found |= has_text_in(value, is_generated_text(key), DEPTH - 2)?;
        }
    }
    Ok(found)
}

/// Whether the value has a string of generated text that is not empty. `counts`: strings at its top are generated text.
fn has_text_in(value: &str, counts: bool, depth: u8) -> Result<bool, Malformed> {
    let mut found = false;
    match value.as_bytes()[0] {
        b'"' => found = counts && value != "\"\"",
        b'{' if depth > 0 => {
            for (key, value) in members(value).ok_or(Malformed)? {
                found |= has_text_in(value, is_generated_text(&key), depth - 1)?;
            }
        }
        b'[' if depth > 0 => {
            for value in elements(value).ok_or(Malformed)? {
                found |= has_text_in(value, counts, depth - 1)?;
            }
        }
        _ => {}
    }
    Ok(found)
}

/// Of several counts the largest one is kept.
fn read_usage(value: &str, chunk: &mut DecodedChunk) {
    let Some(more) = usage(value) else { return };
    let before = chunk.usage.unwrap_or_default();
    chunk.usage = Some(Usage {
        prompt_tokens: before.prompt_tokens.max(more.prompt_tokens),
        completion_tokens: before.completion_tokens.max(more.completion_tokens),
    });
}

/// Token counts: integers that are not repeated, at least one of them.
fn usage(value: &str) -> Option<Usage> {
    let all = members(value)?;
    let count = |name: &str| -> Option<u64> {
        // Values before the first number that are none are ignored.
        let named = all.iter().filter(|(key, _)| key == name).map(|(_, value)| value.parse().ok());
        let found: Vec<Option<u64>> = named.skip_while(Option::is_none).collect();
        if let [Some(count)] = found[..] { Some(count) } else { None }
    };
    let prompt = count("prompt_tokens").or_else(|| count("input_tokens"));
    let completion = count("completion_tokens").or_else(|| count("output_tokens"));
    (prompt.is_some() || completion.is_some())
        .then(|| Usage { prompt_tokens: prompt.unwrap_or(0), completion_tokens: completion.unwrap_or(0) })
}
