//! Renders an answer as JSON: `{"pets": [...], "total": n}`, each pet as the API serializes it.

use serde_json::{Value, json};

use super::lookup::{AnswerContent, satisfies};
use super::markdown;
use crate::responder::query::Intent;

/// Renders an answer as a JSON object.
pub(super) fn render(answer: &AnswerContent) -> Value {
    match answer {
        AnswerContent::Pets { question, pets, total } => {
            let mut object = json!({ "pets": pets, "total": total });
            if let (Intent::Check { any_of, none_of }, [one]) = (&question.intent, pets.as_slice()) {
                object["answer"] = json!(satisfies(one, any_of, none_of));
            }
            object
        }
        AnswerContent::Values { values, total, .. } => {
            let values: Vec<Value> =
                values.iter().map(|(value, count)| json!({ "value": value, "count": count })).collect();
            json!({ "values": values, "total": total })
        }
        AnswerContent::Social { .. } => json!({ "message": markdown::render(answer) }),
        AnswerContent::Ambiguous | AnswerContent::Declined(_) => json!({ "error": markdown::render(answer) }),
    }
}
