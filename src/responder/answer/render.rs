//! Renders the answers to one message as one text.

use serde_json::Value;

use super::lookup::AnswerContent;
use super::{json, markdown};

/// Precedes the answer where only a part of a long message was interpreted.
const PARTIAL_NOTE: &str = "Your message is long; of it I answer this question only:";

/// The answers as Markdown, separated by blank lines; `partial`: only a part of the message was interpreted.
pub(in crate::responder) fn to_markdown(answers: &[AnswerContent], partial: bool) -> String {
    let note = partial.then(|| PARTIAL_NOTE.to_owned());
    note.into_iter().chain(answers.iter().map(markdown::render)).collect::<Vec<_>>().join("\n\n")
}

/// The answers as one JSON object.
pub(in crate::responder) fn to_json(answers: &[AnswerContent]) -> String {
    match answers {
        [one] => json::render(one).to_string(),
        several => {
            serde_json::json!({ "answers": several.iter().map(json::render).collect::<Vec<Value>>() }).to_string()
        }
    }
}
