//! Answers the requests that chat clients generate themselves, such as one for a title of the conversation.
//!
//! Such a request contains the conversation as text after instructions. The questions in it must not be answered again,
//! so the inventory is not queried. Recognised are the format of Open WebUI (`### Task:` ... `### Output:` ...
//! `<chat_history>`) and plain requests for a title. A title consists of the user's first words; tags, follow-ups,
//! searches and completions would have to be invented, so these are empty.

use serde_json::{Value, json};

use super::conversation::Turn;

/// The most words of a title.
const MAX_TITLE_WORDS: usize = 6;
/// The most characters of a title, since a word may have any length.
const MAX_TITLE_CHARS: usize = 80;
/// How many bytes at the start of a message are searched for the words of a title request.
const INSPECTED_LEN: usize = 400;
/// Labels that mark the user's lines in the embedded conversation.
const USER_PREFIXES: [&str; 4] = ["USER:", "User:", "user:", "Human:"];

/// The answer to the last user message if it is such a task, otherwise `None`.
pub(super) fn answer(turns: &[Turn]) -> Option<String> {
    let is_user = |turn: &'_ Turn| matches!(turn, Turn::User(_));
    let Turn::User(text) = turns.iter().rfind(|turn| is_user(turn))? else { return None };
    let text = text.trim_start();
    let prefix = text[..text.floor_char_boundary(INSPECTED_LEN)].to_lowercase();
    if text.starts_with("### Task:") {
        let asks = |key: &str| text.contains(&format!("\"{key}\""));
        if asks("title") {
            return Some(json!({ "title": title(text) }).to_string());
        }
        let lists = ["tags", "follow_ups", "queries"].into_iter().find(|key| asks(key));
        return match lists {
            Some(key) => Some(json!({ key: Value::Array(Vec::new()) }).to_string()),
            None => asks("text").then(|| json!({ "text": "" }).to_string()),
        };
    }
    let contains_any = |list: &[&str]| list.iter().any(|word| prefix.contains(word));
    let asks = contains_any(&["title"])
        && contains_any(&["conversation", "chat"])
        && contains_any(&["generate", "provide", "create", "write"]);
    // Without an embedded conversation it is an ordinary question.
    (asks && first_user_line(text).is_some()).then(|| title(text))
}

/// The user's first line in the embedded conversation, without its label.
fn first_user_line(text: &str) -> Option<&str> {
    let content_len =
        |line: &'_ str| USER_PREFIXES.iter().find_map(|speaker| line.trim_start().strip_prefix(speaker)).map(str::len);
    let line = text.lines().find(|line| content_len(line).is_some_and(|length| length > 0))?;
    content_len(line).map(|length| line[line.len() - length..].trim())
}

fn title(text: &str) -> String {
    let line = first_user_line(text).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().take(MAX_TITLE_WORDS).collect();
    let title: String = words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_TITLE_CHARS).collect();
    let title = title.trim_matches(|c: char| c.is_ascii_punctuation() || c.is_whitespace());
    if title.is_empty() { "Pets".to_owned() } else { title.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        answer(&[Turn::User("x".to_owned()), Turn::Assistant("y".to_owned()), Turn::User(text.to_owned())])
    }

    const OPEN_WEBUI: &str = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n\
        ### Guidelines:\n- Keep it short.\n### Output:\nJSON format: { \"title\": \"your concise title here\" }\n\
        ### Chat History:\n<chat_history>\nUSER: Which small dogs under $200 do you have in the store?\nASSISTANT: 3 dogs\n\
        </chat_history>";

    #[test]
    fn a_title_consists_of_the_users_first_words() {
        assert_eq!(of(OPEN_WEBUI).unwrap(), r#"{"title":"Which small dogs under $200 do"}"#);
        let plain = "Provide a concise, 5-word-or-less title for the conversation.\nOnly return the title.\n\nConversation:\n\
                     User: \"list cats!\"\nAI: 4 cats";
        assert_eq!(of(plain).unwrap(), "list cats");
        assert_eq!(of("### Task:\nA title, as { \"title\": \"\" }").unwrap(), r#"{"title":"Pets"}"#);
    }

    #[test]
    fn tags_and_follow_ups_are_empty() {
        let task =
            |key: &str| of(&format!("### Task:\nSuggest 3.\n### Output:\n{{ \"{key}\": [\"x\"] }}\nUSER: list dogs"));
        assert_eq!(task("follow_ups").unwrap(), r#"{"follow_ups":[]}"#);
        assert_eq!(task("tags").unwrap(), r#"{"tags":[]}"#);
        assert_eq!(task("text").unwrap(), r#"{"text":""}"#);
    }

    #[test]
    fn questions_are_not_tasks() {
        for text in ["list dogs", "### Task: list dogs", "what is the title of this chat?", "generate a chat title", ""]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
