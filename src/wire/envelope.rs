//! OpenAI's error envelope, `{"error":{"message","type","param","code"}}`, always with all four keys, and the error
//! objects that upstreams send instead.
//!
//! Source: OpenAI's API reference, "Error codes", and the error objects that its SDKs read.

use serde::Serialize;
use serde_json::Value;

/// The value of `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// The message for people.
    pub message: String,
    /// The kind of error: `invalid_request_error`, `server_error`, `requests`, `tokens`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The path of the parameter at fault.
    pub param: Option<String>,
    /// The machine-readable cause.
    pub code: Option<String>,
}

/// The body of an error response, or the data of a stream's error frame.
///
/// ```
/// use petstream::wire::envelope::{Envelope, ErrorBody};
///
/// let error = ErrorBody { message: "Busy.".into(), kind: "server_error".into(), param: None, code: None };
/// let json = Envelope { error }.to_json();
/// assert_eq!(json, br#"{"error":{"message":"Busy.","type":"server_error","param":null,"code":null}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// The error.
    pub error: ErrorBody,
}

impl Envelope {
    /// The envelope as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Serialising strings and nulls can't fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Reads an error object in any of the shapes that upstreams send: `{"error":{…}}`, `{"error":"text"}`, a bare
/// `{"message":…}` (also under `detail`), an array with an error in it, an error in a choice; codes may be numbers and
/// keys may be missing. None when there is no message.
#[must_use]
pub fn read_error(value: &Value) -> Option<ErrorBody> {
    let value = value.as_array().and_then(|all| all.first()).unwrap_or(value);
    let own = value.get("error").filter(|error| !error.is_null());
    let of_choice = || {
        let choices = value.get("choices")?.as_array()?;
        choices.iter().find_map(|choice| choice.get("error").filter(|error| !error.is_null()))
    };
    let error = own.or_else(of_choice).unwrap_or(value);
    if let Value::String(message) = error {
        return Some(ErrorBody { message: message.clone(), kind: String::new(), param: None, code: None });
    }
    let text = |key: &str| text_of(error.get(key)?);
    let message = text("message").or_else(|| detail(error.get("detail")?)).or_else(|| text("msg"))?;
    Some(ErrorBody { message, kind: text("type").unwrap_or_default(), param: text("param"), code: text("code") })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The message of a `detail`: a string, an object with a message, or an array of these; the first is read.
fn detail(value: &Value) -> Option<String> {
    let first = value.as_array().and_then(|all| all.first()).unwrap_or(value);
    text_of(first).or_else(|| text_of(first.get("msg").or_else(|| first.get("message"))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_four_keys_are_always_there() {
        let error = ErrorBody { message: "m".into(), kind: "server_error".into(), param: None, code: None };
        let text = String::from_utf8(Envelope { error }.to_json()).unwrap();
        assert_eq!(text, r#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#);
    }

    #[test]
    fn errors_of_other_shapes_are_read() {
        let read = |value| read_error(&value).map(|error| (error.message, error.kind, error.code));
        let full = json!({"error":{"message":"m","type":"t","param":null,"code":500}});
        assert_eq!(read(full), Some(("m".into(), "t".into(), Some("500".into()))));
        assert_eq!(read(json!({"error":"m"})), Some(("m".into(), String::new(), None)));
        assert_eq!(read(json!({"message":"m"})), Some(("m".into(), String::new(), None)));
        assert_eq!(read(json!({"detail":"m"})), Some(("m".into(), String::new(), None)));
        assert_eq!(read(json!({"error":null})), None);
        assert_eq!(read(json!([1])), None);
        assert_eq!(
            read(json!([{"error":{"message":"m","code":400}}])),
            Some(("m".into(), String::new(), Some("400".into())))
        );
        assert_eq!(read(json!({"detail":[{"loc":["body"],"msg":"m"}]})), Some(("m".into(), String::new(), None)));
        assert_eq!(read(json!({"choices":[{},{"error":{"message":"m"}}]})), Some(("m".into(), String::new(), None)));
        assert_eq!(read(json!({"error":{"code":500}})), None);
        assert_eq!(read(json!([])), None);
    }
}
