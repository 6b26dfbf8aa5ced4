//! What chat clients ask by themselves beside a conversation, such as a title for it.
//!
//! They send the conversation as text, behind instructions. Its questions are no questions of the task, so nothing of it is
//! looked up. Recognised is the form that Open WebUI uses (`### Task:` ... `### Output:` ... `<chat_history>`), and plain
//! requests for a title. A title is made of the user's own first words; for tags, follow-ups, searches and completions, which
//! would have to be invented, there are none.

use serde_json::{Value, json};

use super::conversation::Turn;

/// Most words of a title.
const MAX_TITLE_LEN: usize = 6;
/// Most characters of one: a word may have any length.
const MAX_TITLE_CHARS: usize = 80;
/// How much of a message is looked at for what it asks, bytes.
const BEGINNING: usize = 400;
/// What the first line of the conversation's user begins with.
const SPEAKERS: [&str; 4] = ["USER:", "User:", "user:", "Human:"];

/// The answer to the last message, if it is such a task.
pub(super) fn answer(turns: &[Turn]) -> Option<String> {
    let of_user = |turn: &'_ Turn| matches!(turn, Turn::User(_));
    let Turn::User(text) = turns.iter().rfind(|turn| of_user(turn))? else { return None };
    let text = text.trim_start();
    let beginning = text[..text.floor_char_boundary(BEGINNING)].to_lowercase();
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
    let words = |list: &[&str]| list.iter().any(|word| beginning.contains(word));
    let asks =
        words(&["title"]) && words(&["conversation", "chat"]) && words(&["generate", "provide", "create", "write"]);
    // With the conversation in it; without, somebody asks for something else.
    (asks && first_line(text).is_some()).then(|| title(text))
}

/// The first line of the user in the conversation.
fn first_line(text: &str) -> Option<&str> {
    let said =
        |line: &'_ str| SPEAKERS.iter().find_map(|speaker| line.trim_start().strip_prefix(speaker)).map(str::len);
    let line = text.lines().find(|line| said(line).is_some_and(|length| length > 0))?;
    said(line).map(|length| line[line.len() - length..].trim())
}

fn title(text: &str) -> String {
    let line = first_line(text).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().take(MAX_TITLE_LEN).collect();
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
    fn a_title_is_made_of_the_users_first_words() {
        assert_eq!(of(OPEN_WEBUI).unwrap(), r#"{"title":"Which small dogs under $200 do"}"#);
        let plain = "Provide a concise, 5-word-or-less title for the conversation.\nOnly return the title.\n\nConversation:\n\
                     User: \"list cats!\"\nAI: 4 cats";
        assert_eq!(of(plain).unwrap(), "list cats");
        assert_eq!(of("### Task:\nA title, as { \"title\": \"\" }").unwrap(), r#"{"title":"Pets"}"#);
    }

    #[test]
    fn what_would_have_to_be_invented_is_empty() {
        let task =
            |key: &str| of(&format!("### Task:\nSuggest 3.\n### Output:\n{{ \"{key}\": [\"x\"] }}\nUSER: list dogs"));
        assert_eq!(task("follow_ups").unwrap(), r#"{"follow_ups":[]}"#);
        assert_eq!(task("tags").unwrap(), r#"{"tags":[]}"#);
        assert_eq!(task("text").unwrap(), r#"{"text":""}"#);
    }

    #[test]
    fn questions_are_no_tasks() {
        for text in ["list dogs", "### Task: list dogs", "what is the title of this chat?", "generate a chat title", ""]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
