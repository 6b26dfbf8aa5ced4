//! Reads the messages of a request as turns of text and counts their tokens.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::error::ResponderError;
use crate::wire::request::{InvalidRequest, KnownMembers, Param, decode_string, each_element, pick};
use crate::wire::tokens::Tokenizer;

/// How many turns are kept; earlier ones can't be what "those" or "it" refers to.
const MAX_TURNS: usize = 32;

/// The text of one message, by its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    User(String),
    Assistant(String),
}

/// The part of the messages that an answer depends on.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The last [`MAX_TURNS`] messages of the user and the assistant. Instructions and tool results are not questions,
    /// so they are left out.
    pub(super) turns: Vec<Turn>,
    /// Tokens of all messages, counted as `Completion::prompt_tokens` describes.
    pub(super) prompt_tokens: u32,
}

/// Reads the messages one by one, so that memory is bounded by the last turns.
///
/// # Errors
/// [`ResponderError::Unsupported`] for a content part that is not text, with its path: `messages[0].content[1]`.
pub(super) fn read_conversation(
    tokenizer: Tokenizer,
    given: &KnownMembers<'_>,
) -> Result<Conversation, ResponderError> {
    let list = given.get(Param::Messages).unwrap_or("[]");
    let (mut turns, mut prompt_tokens, mut rejected) = (VecDeque::with_capacity(MAX_TURNS), 3_u32, None);
    let read = each_element("messages", "an array of objects", list, |index, message| {
        let [role, content, name] = pick("messages", message, &["role", "content", "name"])?;
        let role = role.and_then(decode_string).unwrap_or_default();
        let content = match content.map_or(Ok(Cow::Borrowed("")), |content| message_text(index, content)) {
            Ok(content) => content,
            Err(ResponderError::Invalid(invalid)) => return Err(invalid),
            Err(error) => {
                rejected = Some(error);
                // Ends the iteration; the error kept above is returned instead.
                return Err(InvalidRequest::unreadable());
            }
        };
        let name = name.and_then(decode_string).map_or(0, |name| tokenizer.count(&name).saturating_add(1));
        let parts = [3, tokenizer.count(&role), tokenizer.count(&content), name];
        prompt_tokens = parts.into_iter().fold(prompt_tokens, u32::saturating_add);
        if turns.len() == MAX_TURNS && matches!(&*role, "user" | "assistant") {
            turns.pop_front();
        }
        match &*role {
            "user" => turns.push_back((true, content)),
            "assistant" => turns.push_back((false, content)),
            _ => {}
        }
        Ok(())
    });
    match rejected {
        Some(error) => return Err(error),
        None => drop(read?),
    }
    let turn = |(user, content): (bool, Cow<'_, str>)| {
        let content = content.into_owned();
        if user { Turn::User(content) } else { Turn::Assistant(content) }
    };
    Ok(Conversation { turns: turns.into_iter().map(turn).collect(), prompt_tokens })
}

/// The text of a message. The texts of several parts are joined by line breaks.
fn message_text(index: usize, content: &str) -> Result<Cow<'_, str>, ResponderError> {
    if !content.starts_with('[') {
        return Ok(decode_string(content).unwrap_or_default());
    }
    let (mut joined, mut rejected) = (String::new(), None);
    each_element("content", "an array of objects", content, |position, part| {
        if rejected.is_some() {
            return Ok(());
        }
        if position > 0 {
            joined.push('\n');
        }
        match part_text(part)? {
            Ok(text) => joined.push_str(&text),
            Err(kind) => rejected = Some((position, kind)),
        }
        Ok(())
    })?;
    match rejected {
        None => Ok(Cow::Owned(joined)),
        Some((position, kind)) => Err(ResponderError::unsupported_value(
            &format!("messages[{index}].content[{position}]"),
            &format!("content parts of type '{}' (only text)", printable(&kind)),
        )),
    }
}

/// The text of a content part, or its type if it is not text. A `refusal` counts as text: it is an earlier answer of
/// the assistant that the client sends back as history.
fn part_text(part: &str) -> Result<Result<Cow<'_, str>, String>, InvalidRequest> {
    if part.starts_with('"') {
        return Ok(Ok(decode_string(part).unwrap_or_default()));
    }
    let [kind, text_value, refusal] = pick("content", part, &["type", "text", "refusal"])?;
    let kind = kind.and_then(decode_string).unwrap_or(Cow::Borrowed("unknown"));
    let found = match &*kind {
        "text" => text_value.and_then(decode_string),
        "refusal" => refusal.and_then(decode_string),
        _ => None,
    };
    Ok(found.ok_or_else(|| kind.into_owned()))
}

/// A value from the client, shortened to what is safe in an error message.
fn printable(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::responder::tests::parsed;

    fn of(value: &Value) -> Result<Conversation, ResponderError> {
        read_conversation(Tokenizer::load().unwrap(), &parsed(json!({ "messages": value })).members().unwrap())
    }

    #[test]
    fn text_parts_are_joined_and_instructions_are_not_turns() {
        let read = of(&json!([
            {"role": "system", "content": "be nice"},
            {"role": "user", "content": [{"type": "text", "text": "small"}, {"type": "text", "text": "dogs"}]},
            {"role": "assistant", "content": null},
        ]))
        .unwrap();
        assert_eq!(read.turns, [Turn::User("small\ndogs".to_owned()), Turn::Assistant(String::new())]);
    }

    #[test]
    fn only_the_last_turns_are_kept_but_all_tokens_are_counted() {
        let messages: Vec<_> = (0..40).map(|at| json!({"role": "user", "content": format!("{at}")})).collect();
        let read = of(&json!(messages)).unwrap();
        assert_eq!((read.turns.len(), &read.turns[0]), (MAX_TURNS, &Turn::User("8".to_owned())));
        // 3 tokens for each message, 1 for its role, 1 for its content; 3 for the start of the answer.
        assert_eq!(read.prompt_tokens, 40 * 5 + 3);
    }

    #[test]
    fn an_image_is_rejected_with_its_path() {
        let content = json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}]);
        let error = of(&json!([{"role": "user", "content": content}])).unwrap_err();
        let ResponderError::Unsupported { param, code, message } = error else { panic!() };
        assert_eq!((param.as_str(), code), ("messages[0].content[1]", "unsupported_value"));
        assert!(message.contains("image_url"), "{message}");
    }
}
