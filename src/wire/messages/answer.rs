//! Translates a whole chat completion to a message.

use super::frames::{MessageHead, Stop, input_of, message_json, tool_use_json};
use crate::wire::translation::{Array, FinishReason, Object, TokenCounts, TranslationError, read_completion};

/// The message that says what a chat completion says: thinking, text, tool calls, in this order. `counted` are the
/// token counts where the completion has none.
///
/// # Errors
/// [`TranslationError::Malformed`] when it is no completion, and when the arguments of a tool call are no JSON object.
/// Arguments that the limit of tokens has cut become `{}`: `stop_reason` is then `max_tokens`, and SDKs do the like.
pub fn message(head: &MessageHead, completion: &[u8], counted: &TokenCounts) -> Result<String, TranslationError> {
    let text = simdutf8::basic::from_utf8(completion).map_err(|_| TranslationError::Malformed)?;
    let answer = read_completion(text)?;
    let mut content = Array::default();
    if let Some((member, thinking)) = &answer.reasoning {
        let mut block = Object::new();
        block.raw("type", "\"thinking\"").raw("thinking", &format!("\"{thinking}\""));
        content.push(&block.raw("signature", member.signature()).finish());
    }
    for text in answer.content.as_deref().into_iter().chain(answer.refusal) {
        content.push(&Object::new().raw("type", "\"text\"").raw("text", &format!("\"{text}\"")).finish());
    }
    let is_cut = answer.finish == Some(FinishReason::Length);
    for call in &answer.tool_calls {
        let input = input_of(&call.arguments).or_else(|| is_cut.then(|| "{}".to_owned()));
        let own_id = || format!("toolu_{}_{}", head.id, call.index.unwrap_or_default());
        let id = call.id.map_or_else(own_id, str::to_owned);
        let input = input.ok_or(TranslationError::Malformed)?;
        content.push(&tool_use_json(&id, call.name.unwrap_or_default(), &input));
    }
    let stop = Stop::new(answer.finish, answer.stop_sequence, !answer.tool_calls.is_empty(), answer.refusal.is_some());
    Ok(message_json(head, &content.finish(), Some(&stop), answer.usage.as_ref().unwrap_or(counted)))
}
