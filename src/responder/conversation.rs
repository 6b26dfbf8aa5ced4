//! The messages of a request as turns of text.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::ResponderError;
use crate::wire::request::{Given, Invalid, Param, each_element, pick, text};
use crate::wire::tokens;

/// How many turns before the last are looked at for what "those" and "it" refer to.
const TURNS: usize = 32;

/// One turn, in the words of who spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    User(String),
    Assistant(String),
}

/// What was said, as far as an answer needs it.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The last turns of the user and the assistant; instructions and results of tools are no questions.
    pub(super) turns: Vec<Turn>,
    /// Tokens of all messages; see [`super::Completion::prompt_tokens`].
    pub(super) prompt_tokens: u32,
}

/// Reads the messages one by one; of all but the last turns only the tokens are kept.
///
/// # Errors
/// [`ResponderError::Refused`] for a part that is no text, by its place: `messages[0].content[1]`.
pub(super) fn conversation(given: &Given<'_>) -> Result<Conversation, ResponderError> {
    let list = given.get(Param::Messages).unwrap_or("[]");
    let (mut turns, mut prompt_tokens, mut refused) = (VecDeque::with_capacity(TURNS), 3_u32, None);
    let read = each_element("messages", "an array of objects", list, |index, message| {
        let [role, content, name] = pick("messages", message, &["role", "content", "name"])?;
        let role = role.and_then(text).unwrap_or_default();
        let said = match content.map_or(Ok(Cow::Borrowed("")), |content| words(index, content)) {
            Ok(said) => said,
            Err(ResponderError::Invalid(invalid)) => return Err(invalid),
            Err(error) => {
                refused = Some(error);
                // Ends the reading; what is told is the error above.
                return Err(Invalid::unreadable());
            }
        };
        let name = name.and_then(text).map_or(0, |name| tokens::count(&name).saturating_add(1));
        let parts = [3, tokens::count(&role), tokens::count(&said), name];
        prompt_tokens = parts.into_iter().fold(prompt_tokens, u32::saturating_add);
        if turns.len() == TURNS && matches!(&*role, "user" | "assistant") {
            turns.pop_front();
        }
        match &*role {
            "user" => turns.push_back((true, said)),
            "assistant" => turns.push_back((false, said)),
            _ => {}
        }
        Ok(())
    });
    match refused {
        Some(error) => return Err(error),
        None => drop(read?),
    }
    let turn = |(user, said): (bool, Cow<'_, str>)| {
        let said = said.into_owned();
        if user { Turn::User(said) } else { Turn::Assistant(said) }
    };
    Ok(Conversation { turns: turns.into_iter().map(turn).collect(), prompt_tokens })
}

/// The text of a message: that of its parts, one after the other.
fn words(index: usize, content: &str) -> Result<Cow<'_, str>, ResponderError> {
    if !content.starts_with('[') {
        return Ok(text(content).unwrap_or_default());
    }
    let (mut joined, mut refused) = (String::new(), None);
    each_element("content", "an array of objects", content, |place, part| {
        if refused.is_some() {
            return Ok(());
        }
        if place > 0 {
            joined.push('\n');
        }
        match part_text(part)? {
            Ok(text) => joined.push_str(&text),
            Err(kind) => refused = Some((place, kind)),
        }
        Ok(())
    })?;
    match refused {
        None => Ok(Cow::Owned(joined)),
        Some((place, kind)) => Err(ResponderError::value(
            &format!("messages[{index}].content[{place}]"),
            &format!("content parts of type '{}' (only text)", short(&kind)),
        )),
    }
}

/// The text of a part, or else its type. A refusal is text too: the assistant's own words, sent back as history.
fn part_text(part: &str) -> Result<Result<Cow<'_, str>, String>, Invalid> {
    if part.starts_with('"') {
        return Ok(Ok(text(part).unwrap_or_default()));
    }
    let [kind, said, refusal] = pick("content", part, &["type", "text", "refusal"])?;
    let kind = kind.and_then(text).unwrap_or(Cow::Borrowed("unknown"));
    let found = match &*kind {
        "text" => said.and_then(text),
        "refusal" => refusal.and_then(text),
        _ => None,
    };
    Ok(found.ok_or_else(|| kind.into_owned()))
}

/// A client's word as it may stand in an error message.
fn short(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::responder::tests::parsed;

    fn of(value: &Value) -> Result<Conversation, ResponderError> {
        conversation(&parsed(json!({ "messages": value })).given().unwrap())
    }

    #[test]
    fn parts_of_text_are_joined_and_instructions_are_no_turns() {
        let read = of(&json!([
            {"role": "system", "content": "be nice"},
            {"role": "user", "content": [{"type": "text", "text": "small"}, {"type": "text", "text": "dogs"}]},
            {"role": "assistant", "content": null},
        ]))
        .unwrap();
        assert_eq!(read.turns, [Turn::User("small\ndogs".to_owned()), Turn::Assistant(String::new())]);
    }

    #[test]
    fn only_the_last_turns_are_kept_and_all_tokens_counted() {
        let messages: Vec<_> = (0..40).map(|at| json!({"role": "user", "content": format!("{at}")})).collect();
        let read = of(&json!(messages)).unwrap();
        assert_eq!((read.turns.len(), &read.turns[0]), (TURNS, &Turn::User("8".to_owned())));
        // Each has three, one for its role and one for its number; three begin the answer.
        assert_eq!(read.prompt_tokens, 40 * 5 + 3);
    }

    #[test]
    fn an_image_is_refused_by_its_place() {
        let content = json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}]);
        let error = of(&json!([{"role": "user", "content": content}])).unwrap_err();
        let ResponderError::Refused { param, code, message } = error else { panic!() };
        assert_eq!((param.as_str(), code), ("messages[0].content[1]", "unsupported_value"));
        assert!(message.contains("image_url"), "{message}");
    }
}
