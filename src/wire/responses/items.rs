//! The JSON of items and of their parts. Texts, names and ids of calls are insides of JSON strings.

use crate::wire::translation::Object;

/// The kind of a part of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text,
    Refusal,
    Reasoning,
}

impl Part {
    /// The names of the events of its deltas and of its end, and of the member with the whole text in the latter.
    pub(super) const fn events(self) -> [&'static str; 3] {
        match self {
            Self::Text => ["response.output_text.delta", "response.output_text.done", "text"],
            Self::Refusal => ["response.refusal.delta", "response.refusal.done", "refusal"],
            Self::Reasoning => ["response.reasoning_text.delta", "response.reasoning_text.done", "text"],
        }
    }

    pub(super) fn json(self, text: &str) -> String {
        let text = format!("\"{text}\"");
        let mut part = Object::new();
        match self {
            Self::Text => {
                part.raw("type", "\"output_text\"").raw("annotations", "[]").raw("logprobs", "[]").raw("text", &text)
            }
            Self::Refusal => part.raw("type", "\"refusal\"").raw("refusal", &text),
            Self::Reasoning => part.raw("type", "\"reasoning_text\"").raw("text", &text),
        };
        part.finish()
    }

    /// Whether it is a part of a reasoning item. The others are parts of a message.
    pub(super) const fn is_reasoning(self) -> bool {
        matches!(self, Self::Reasoning)
    }
}

/// A message or a reasoning item; `parts` are a JSON array.
pub(super) fn item(is_reasoning: bool, id: &str, status: &str, parts: &str) -> String {
    let mut item = Object::new();
    if is_reasoning {
        item.raw("type", "\"reasoning\"").text("id", id).raw("summary", "[]").raw("content", parts);
        item.raw("encrypted_content", "null");
    } else {
        item.raw("type", "\"message\"").text("id", id).raw("role", "\"assistant\"").raw("content", parts);
    }
    item.text("status", status).finish()
}

/// A call of a function, which may be one of a namespace.
pub(super) fn call(
    id: &str,
    status: &str,
    call_id: &str,
    namespace: Option<&str>,
    name: &str,
    arguments: &str,
) -> String {
    let [call_id, name, arguments] = [call_id, name, arguments].map(|text| format!("\"{text}\""));
    let mut item = Object::new();
    item.raw("type", "\"function_call\"").text("id", id).raw("call_id", &call_id).raw("name", &name);
    item.raw_if("namespace", namespace.map(|text| format!("\"{text}\"")).as_deref());
    item.raw("arguments", &arguments).text("status", status).finish()
}
