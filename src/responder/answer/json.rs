//! Answers as JSON: the pets in the shape of their own JSON, `{"pets": [...], "total": n}`.

use serde_json::{Value, json};

use super::markdown;
use super::{Answer, holds};
use crate::responder::query::Intent;

/// The answer as an object.
pub(super) fn render(answer: &Answer) -> Value {
    match answer {
        Answer::Pets { question, pets, total } => {
            let mut object = json!({ "pets": pets, "total": total });
            if let (Intent::Check { any, none }, [one]) = (&question.intent, pets.as_slice()) {
                object["answer"] = json!(holds(one, any, none));
            }
            object
        }
        Answer::Values { values, total, .. } => {
            let values: Vec<Value> =
                values.iter().map(|(value, count)| json!({ "value": value, "count": count })).collect();
            json!({ "values": values, "total": total })
        }
        Answer::Social { .. } => json!({ "message": markdown::render(answer) }),
        Answer::Ambiguous | Answer::Declined(_) => json!({ "error": markdown::render(answer) }),
    }
}
