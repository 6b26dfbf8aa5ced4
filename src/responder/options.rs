//! The request's other parameters: what this model honours, what it refuses, what changes nothing.
//!
//! Refused is what would change the answer if it were honoured and can't be. Accepted without
//! effect is what only steers chance or speed (temperature, penalties, seed, `prediction`, ...):
//! the answer is the same each time.

use serde_json::{Map, Value};

use super::{MODEL, ResponderError};

/// What the answer must keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Most tokens of one choice.
    pub(super) most_tokens: Option<usize>,
    /// The answer ends before the first of these.
    pub(super) stop: Vec<String>,
    /// How many choices, at least 1.
    pub(super) choices: usize,
    /// One JSON object instead of Markdown.
    pub(super) json: bool,
}

impl ResponderError {
    /// A parameter that this model does not know how to honour at all.
    fn parameter(param: &str) -> Self {
        let message = format!("Unsupported parameter: '{param}' is not supported with the model `{MODEL}`.");
        Self::Refused { param: param.to_owned(), code: "unsupported_parameter", message }
    }

    /// A parameter of which this model does not support the value.
    pub(super) fn value(param: &str, what: &str) -> Self {
        let message = format!("Unsupported value: '{param}': the model `{MODEL}` does not support {what}.");
        Self::Refused { param: param.to_owned(), code: "unsupported_value", message }
    }
}

/// Reads the parameters; `null` is as good as absent.
///
/// # Errors
/// [`ResponderError::Refused`] naming the first parameter that can't be honoured.
pub(super) fn options(request: &Map<String, Value>) -> Result<Options, ResponderError> {
    let get = |key: &str| request.get(key).filter(|value| !value.is_null());
    refuse_unsupported(&get)?;
    let number = |key: &str| get(key).and_then(Value::as_u64).map(|value| usize::try_from(value).unwrap_or(usize::MAX));
    Ok(Options {
        most_tokens: number("max_completion_tokens").or_else(|| number("max_tokens")),
        stop: match get("stop") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        choices: number("n").unwrap_or(1).clamp(1, 128),
        json: json(get("response_format"))?,
    })
}

fn json(format: Option<&Value>) -> Result<bool, ResponderError> {
    match format.map(|format| format.get("type").and_then(Value::as_str)) {
        None | Some(Some("text")) => Ok(false),
        Some(Some("json_object")) => Ok(true),
        Some(_) => Err(ResponderError::value("response_format", "this format (only text and json_object)")),
    }
}

fn refuse_unsupported<'a>(get: &impl Fn(&str) -> Option<&'a Value>) -> Result<(), ResponderError> {
    if get("logprobs") == Some(&Value::Bool(true)) {
        return Err(ResponderError::value("logprobs", "true: it has no probabilities"));
    }
    if get("top_logprobs").is_some_and(|value| value.as_u64() != Some(0)) {
        return Err(ResponderError::parameter("top_logprobs"));
    }
    if get("logit_bias").and_then(Value::as_object).is_some_and(|bias| !bias.is_empty()) {
        return Err(ResponderError::parameter("logit_bias"));
    }
    for param in ["audio", "web_search_options", "moderation"] {
        if get(param).is_some() {
            return Err(ResponderError::parameter(param));
        }
    }
    if get("modalities")
        .and_then(Value::as_array)
        .is_some_and(|list| list.iter().any(|kind| kind.as_str() != Some("text")))
    {
        return Err(ResponderError::value("modalities", "any modality but text"));
    }
    if get("service_tier").is_some_and(|tier| !matches!(tier.as_str(), Some("auto" | "default"))) {
        return Err(ResponderError::value("service_tier", "any tier but auto and default"));
    }
    if get("tool_choice").is_some_and(forces_tool) {
        return Err(ResponderError::value("tool_choice", "a forced tool call (only none and auto)"));
    }
    if get("function_call").is_some_and(|call| !matches!(call.as_str(), Some("none" | "auto"))) {
        return Err(ResponderError::value("function_call", "a forced function call (only none and auto)"));
    }
    Ok(())
}

/// Anything that leaves no choice but to call a tool.
fn forces_tool(choice: &Value) -> bool {
    if let Some(word) = choice.as_str() {
        return !matches!(word, "none" | "auto");
    }
    // {"type": "allowed_tools", "allowed_tools": {"mode": "auto", ...}}
    let mode = choice.get("allowed_tools").unwrap_or(choice).get("mode").and_then(Value::as_str);
    choice.get("type").and_then(Value::as_str) != Some("allowed_tools") || mode != Some("auto")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Result<Options, ResponderError> {
        let Value::Object(map) = value else { unreachable!() };
        options(&map)
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (request, param, code) in [
            (json!({"logprobs": true}), "logprobs", "unsupported_value"),
            (json!({"top_logprobs": 3}), "top_logprobs", "unsupported_parameter"),
            (json!({"logit_bias": {"5": 1}}), "logit_bias", "unsupported_parameter"),
            (json!({"audio": {"voice": "alloy", "format": "wav"}}), "audio", "unsupported_parameter"),
            (json!({"modalities": ["text", "audio"]}), "modalities", "unsupported_value"),
            (json!({"web_search_options": {}}), "web_search_options", "unsupported_parameter"),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
                "response_format",
                "unsupported_value",
            ),
            (json!({"tool_choice": "required"}), "tool_choice", "unsupported_value"),
            (
                json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}),
                "tool_choice",
                "unsupported_value",
            ),
            (
                json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}}),
                "tool_choice",
                "unsupported_value",
            ),
            (json!({"function_call": {"name": "f"}}), "function_call", "unsupported_value"),
            (json!({"service_tier": "priority"}), "service_tier", "unsupported_value"),
        ] {
            let ResponderError::Refused { param: found, code: found_code, message } = of(request).unwrap_err() else {
                panic!()
            };
            assert_eq!((found.as_str(), found_code), (param, code));
            assert!(message.contains(param), "{message}");
        }
    }

    #[test]
    fn what_changes_nothing_is_accepted_and_null_is_absent() {
        let options = of(json!({
            "temperature": 0.2, "top_p": 1, "seed": 7, "user": "u", "store": true, "metadata": {"a": "b"}, "logprobs": false,
            "tools": [], "tool_choice": "auto", "service_tier": "auto", "logit_bias": {}, "presence_penalty": 1, "audio": null,
            "modalities": ["text"], "response_format": null, "stop": null, "n": null, "max_tokens": null, "function_call": "none",
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "reasoning_effort": "low",
        }));
        assert_eq!(options.unwrap(), Options { choices: 1, ..Options::default() });
    }

    #[test]
    fn what_is_honoured_is_read() {
        let read = of(
            json!({"max_tokens": 9, "max_completion_tokens": 5, "stop": ["a", "b"], "n": 3, "response_format": {"type": "json_object"}}),
        );
        let expected = Options { most_tokens: Some(5), stop: vec!["a".into(), "b".into()], choices: 3, json: true };
        assert_eq!(read.unwrap(), expected);
    }
}
