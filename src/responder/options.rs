//! The request's other parameters: what this model honours, what it refuses, what changes nothing.
//!
//! Refused is what would change the answer if it were honoured and can't be. Accepted without
//! effect is what only steers chance or speed (temperature, penalties, seed, `prediction`, ...):
//! the answer is the same each time.

use std::borrow::Cow;

use super::{MODEL, ResponderError};
use crate::wire::request::{ChatRequest, Given, Invalid, Param, each_element, is_empty, pick, text};

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

/// Reads the parameters of a request that was checked; `null` is as good as absent.
///
/// # Errors
/// [`ResponderError::Refused`] naming the first parameter that can't be honoured.
pub(super) fn options(request: &ChatRequest, given: &Given<'_>) -> Result<Options, ResponderError> {
    refuse_unsupported(given)?;
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Ok(Options {
        most_tokens: request.max_tokens.map(number),
        stop: given.get(Param::Stop).map_or_else(|| Ok(Vec::new()), stop)?,
        choices: number(request.n),
        json: json(given.get(Param::ResponseFormat))?,
    })
}

fn stop(value: &str) -> Result<Vec<String>, Invalid> {
    if let Some(one) = text(value) {
        return Ok(vec![one.into_owned()]);
    }
    let mut several = Vec::new();
    each_element("stop", "an array of strings", value, |_, one| {
        several.extend(text(one).map(Cow::into_owned));
        Ok(())
    })?;
    Ok(several)
}

fn json(format: Option<&str>) -> Result<bool, ResponderError> {
    let Some(format) = format else { return Ok(false) };
    let [kind] = pick("response_format", format, &["type"])?;
    match kind.and_then(text).as_deref() {
        Some("text") => Ok(false),
        Some("json_object") => Ok(true),
        _ => Err(ResponderError::value("response_format", "this format (only text and json_object)")),
    }
}

fn refuse_unsupported(given: &Given<'_>) -> Result<(), ResponderError> {
    let word = |param| given.get(param).map(|value| text(value).unwrap_or_default());
    if given.get(Param::Logprobs) == Some("true") {
        return Err(ResponderError::value("logprobs", "true: it has no probabilities"));
    }
    if given.get(Param::TopLogprobs).is_some_and(|value| value != "0") {
        return Err(ResponderError::parameter("top_logprobs"));
    }
    if given.get(Param::LogitBias).is_some_and(|bias| !is_empty(bias)) {
        return Err(ResponderError::parameter("logit_bias"));
    }
    for param in [Param::Audio, Param::WebSearchOptions, Param::Moderation] {
        if given.get(param).is_some() {
            return Err(ResponderError::parameter(param.name()));
        }
    }
    if given.get(Param::Modalities).map_or(Ok(false), has_others_than_text)? {
        return Err(ResponderError::value("modalities", "any modality but text"));
    }
    if word(Param::ServiceTier).is_some_and(|tier| !matches!(&*tier, "auto" | "default")) {
        return Err(ResponderError::value("service_tier", "any tier but auto and default"));
    }
    if given.get(Param::ToolChoice).map_or(Ok(false), forces_tool)? {
        return Err(ResponderError::value("tool_choice", "a forced tool call (only none and auto)"));
    }
    if word(Param::FunctionCall).is_some_and(|call| !matches!(&*call, "none" | "auto")) {
        return Err(ResponderError::value("function_call", "a forced function call (only none and auto)"));
    }
    Ok(())
}

fn has_others_than_text(modalities: &str) -> Result<bool, Invalid> {
    let mut others = false;
    each_element("modalities", "an array of strings", modalities, |_, kind| {
        others |= kind != "\"text\"";
        Ok(())
    })?;
    Ok(others)
}

/// Anything that leaves no choice but to call a tool.
fn forces_tool(choice: &str) -> Result<bool, Invalid> {
    if let Some(word) = text(choice) {
        return Ok(!matches!(&*word, "none" | "auto"));
    }
    // {"type": "allowed_tools", "allowed_tools": {"mode": "auto", ...}}
    let [kind, mode, allowed] = pick("tool_choice", choice, &["type", "mode", "allowed_tools"])?;
    let [mode] = allowed.map_or(Ok([mode]), |allowed| pick("tool_choice.allowed_tools", allowed, &["mode"]))?;
    let is = |value: Option<&str>, word: &str| value.and_then(text).is_some_and(|text| text == word);
    Ok(!is(kind, "allowed_tools") || !is(mode, "auto"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::responder::tests::parsed;

    fn of(value: Value) -> Result<Options, ResponderError> {
        let request = parsed(value);
        options(&request, &request.given().unwrap())
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
            json!({"max_tokens": 3, "max_completion_tokens": 5, "stop": ["a", "b"], "n": 3, "response_format": {"type": "json_object"}}),
        );
        let expected = Options { most_tokens: Some(5), stop: vec!["a".into(), "b".into()], choices: 3, json: true };
        assert_eq!(read.unwrap(), expected);
    }
}
