//! Translates a whole message to a chat completion.

use super::chunks::head_json;
use super::event::{Event, Part};
use super::finish::{Finish, refusal, usage_json};
use super::stream::own_call_id;
use crate::wire::chat::CompletionHead;
use crate::wire::translation::{Array, JoinedText, Object, TokenCounts, TranslationError, inside, quoted_json};

/// The chat completion that says what a message says. `counted` are the token counts where the message has none.
///
/// # Errors
/// [`TranslationError::Malformed`] when it is no message, and when a tool call has no name.
pub fn completion(head: &CompletionHead, message: &[u8], counted: &TokenCounts) -> Result<String, TranslationError> {
    let text = simdutf8::basic::from_utf8(message).map_err(|_| TranslationError::Malformed)?;
    let answer = Event::read(text)?;
    let blocks = answer.content.filter(|_| answer.kind == "\"message\"").ok_or(TranslationError::Malformed)?;
    let (mut content, mut reasoning) = (JoinedText::default(), JoinedText::default());
    let (mut calls, mut count) = (Array::default(), 0);
    for block in &blocks {
        match block.kind {
            "\"text\"" => content.push(block.text.unwrap_or_default()),
            "\"thinking\"" => reasoning.push(block.thinking.unwrap_or_default()),
            "\"tool_use\"" => {
                calls.push(&call_json(head, count, block)?);
                count += 1;
            }
            _ => {}
        }
    }
    let mut said = Object::new();
    said.raw("role", "\"assistant\"");
    if content.is_empty() && count > 0 {
        said.raw("content", "null");
    } else {
        said.raw("content", &content.to_json());
    }
    let refusal = refusal(&answer.stop).map_or_else(|| "null".to_owned(), |text| format!("\"{text}\""));
    said.raw("refusal", &refusal).raw("annotations", "[]");
    if !reasoning.is_empty() {
        said.raw("reasoning_content", &reasoning.to_json());
    }
    if count > 0 {
        said.raw("tool_calls", &calls.finish());
    }
    let mut choice = Object::new();
    choice.raw("index", "0").raw("message", &said.finish()).raw("logprobs", "null");
    let choice = choice.text("finish_reason", Finish::read(answer.stop.reason).name(count > 0)).finish();
    let mut counts = TokenCounts::default();
    let reported = answer.usage.filter(|usage| usage.starts_with('{'));
    let counts = reported.map_or(*counted, |usage| {
        counts.read_messages(usage);
        counts
    });
    let head = head_json(head, "chat.completion");
    Ok([&*head, ",\"choices\":[", &choice, "],\"usage\":", &usage_json(&counts), "}"].concat())
}

/// A tool call. Its input becomes a string of JSON.
fn call_json(head: &CompletionHead, number: u64, block: &Part<'_>) -> Result<String, TranslationError> {
    let name = block.name.filter(|name| !inside(name).is_empty()).ok_or(TranslationError::Malformed)?;
    let input = block.input.filter(|input| input.starts_with('{')).unwrap_or("{}");
    let function = Object::new().raw("name", name).raw("arguments", &quoted_json(input)).finish();
    let given = block.id.filter(|id| !inside(id).is_empty());
    let own = || format!("\"{}\"", own_call_id(&head.id, number));
    let id = given.map_or_else(own, str::to_owned);
    Ok(Object::new().raw("id", &id).raw("type", "\"function\"").raw("function", &function).finish())
}
