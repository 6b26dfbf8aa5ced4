//! Translates a whole chat completion to a response.

use super::head::{ResponseHead, State};
use super::items::{self, Part};
use crate::wire::translation::{Array, FinishReason, TranslationError, read_completion};

/// The response that says what a chat completion says: reasoning, a message, calls of functions, in this order. `now`
/// is the Unix time in seconds.
///
/// # Errors
/// [`TranslationError::Malformed`] when it is no completion.
pub fn response(head: &ResponseHead, completion: &[u8], now: i64) -> Result<String, TranslationError> {
    let text = simdutf8::basic::from_utf8(completion).map_err(|_| TranslationError::Malformed)?;
    let answer = read_completion(text)?;
    let incomplete = match answer.finish {
        Some(FinishReason::Length) => Some("max_output_tokens"),
        Some(FinishReason::ContentFilter) => Some("content_filter"),
        _ => None,
    };
    let status = if incomplete.is_some() { "incomplete" } else { "completed" };
    let (mut output, mut count) = (Array::default(), 0);
    let mut add = |item: &dyn Fn(usize) -> String| {
        output.push(&item(count));
        count += 1;
    };
    if let Some((_, text)) = &answer.reasoning {
        let parts = format!("[{}]", Part::Reasoning.json(text));
        add(&|index| items::item(true, &head.item_id("rs", index), "completed", &parts));
    }
    let texts = answer.content.as_deref().map(|text| Part::Text.json(text));
    let parts: Vec<_> = texts.into_iter().chain(answer.refusal.map(|text| Part::Refusal.json(text))).collect();
    if !parts.is_empty() {
        let parts = format!("[{}]", parts.join(","));
        add(&|index| items::item(false, &head.item_id("msg", index), status, &parts));
    }
    for call in &answer.tool_calls {
        add(&|index| {
            let id = head.item_id("fc", index);
            let call_id = call.id.map_or_else(|| format!("call_{id}"), str::to_owned);
            head.call(&id, status, &call_id, call.name.unwrap_or_default(), &call.arguments)
        });
    }
    let output = output.finish();
    let completed = Some(now).filter(|_| incomplete.is_none());
    let usage = answer.usage.as_ref();
    Ok(head.response(&State { status, output: &output, usage, incomplete, error: None, completed }))
}
