//! The messages of a request as turns of text.

use serde_json::{Map, Value};

use super::ResponderError;

/// How many turns before the last are looked at for what "those" and "it" refer to.
const TURNS: usize = 32;

/// One turn, in the words of who spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    User(String),
    Assistant(String),
}

/// A message as its tokens are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) name: Option<String>,
    /// The texts of its parts, one after the other.
    pub(super) text: String,
}

/// All messages of the request.
///
/// # Errors
/// [`ResponderError::Refused`] for a part that is no text, by its place: `messages[0].content[1]`.
pub(super) fn messages(request: &Map<String, Value>) -> Result<Vec<Message>, ResponderError> {
    let messages = request.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    messages.iter().enumerate().map(|(index, message)| read(index, message)).collect()
}

fn read(index: usize, message: &Value) -> Result<Message, ResponderError> {
    let string = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let mut texts = Vec::with_capacity(parts.len());
            for (place, part) in parts.iter().enumerate() {
                texts.push(part_text(part).ok_or_else(|| {
                    let kind = part.get("type").and_then(Value::as_str).unwrap_or("unknown");
                    ResponderError::value(
                        &format!("messages[{index}].content[{place}]"),
                        &format!("content parts of type '{}' (only text)", short(kind)),
                    )
                })?);
            }
            texts.join("\n")
        }
        _ => String::new(),
    };
    Ok(Message { role: string("role").unwrap_or_default(), name: string("name"), text })
}

/// A refusal is text too: the assistant's own words, sent back as history.
fn part_text(part: &Value) -> Option<&str> {
    match part {
        Value::String(text) => Some(text),
        _ => match part.get("type").and_then(Value::as_str)? {
            "text" => part.get("text")?.as_str(),
            "refusal" => part.get("refusal")?.as_str(),
            _ => None,
        },
    }
}

/// A client's word as it may stand in an error message.
fn short(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()
}

/// The last turns of the user and the assistant; instructions and results of tools are no questions.
pub(super) fn turns(messages: &[Message]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = messages
        .iter()
        .rev()
        .filter_map(|message| match message.role.as_str() {
            "user" => Some(Turn::User(message.text.clone())),
            "assistant" => Some(Turn::Assistant(message.text.clone())),
            _ => None,
        })
        .take(TURNS)
        .collect();
    turns.reverse();
    turns
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Result<Vec<Message>, ResponderError> {
        let Value::Object(map) = json!({ "messages": value }) else { unreachable!() };
        messages(&map)
    }

    #[test]
    fn parts_of_text_are_joined_and_instructions_are_no_turns() {
        let messages = of(&json!([
            {"role": "system", "content": "be nice"},
            {"role": "user", "content": [{"type": "text", "text": "small"}, {"type": "text", "text": "dogs"}]},
            {"role": "assistant", "content": null},
        ]))
        .unwrap();
        assert_eq!(turns(&messages), [Turn::User("small\ndogs".to_owned()), Turn::Assistant(String::new())]);
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
