//! The request's parameters besides its messages: which this model supports, rejects or ignores.
//!
//! Supported are the limits on tokens, `stop`, `n` and `response_format`. Rejected is a parameter that would change the
//! answer but that this model can't apply. Ignored is what only affects sampling or speed (temperature, penalties,
//! seed, `prediction`, ...), since the answer is deterministic.

use std::borrow::Cow;

use super::error::ResponderError;
use crate::wire::request::{
    InferenceRequest, InvalidRequest, KnownMembers, Param, decode_string, each_element, is_empty, pick,
};

/// The parameters that shape the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The most tokens of one choice; `None`: no limit.
    pub(super) max_tokens: Option<usize>,
    /// The answer ends before the first occurrence of any of these.
    pub(super) stop: Vec<String>,
    /// Number of choices, at least 1.
    pub(super) choices: usize,
    /// Answer with one JSON object instead of Markdown.
    pub(super) json: bool,
}

/// Reads the parameters of a request whose ranges have been checked; `null` counts as absent.
///
/// # Errors
/// [`ResponderError::Unsupported`] with the first parameter that this model does not support.
pub(super) fn read_options(request: &InferenceRequest, given: &KnownMembers<'_>) -> Result<Options, ResponderError> {
    reject_unsupported(given)?;
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Ok(Options {
        max_tokens: request.max_tokens.map(number),
        stop: given.get(Param::Stop).map_or_else(|| Ok(Vec::new()), stop_strings)?,
        choices: number(request.n),
        json: wants_json(given.get(Param::ResponseFormat))?,
    })
}

fn stop_strings(value: &str) -> Result<Vec<String>, InvalidRequest> {
    if let Some(one) = decode_string(value) {
        return Ok(vec![one.into_owned()]);
    }
    let mut several = Vec::new();
    each_element("stop", "an array of strings", value, |_, one| {
        several.extend(decode_string(one).map(Cow::into_owned));
        Ok(())
    })?;
    Ok(several)
}

fn wants_json(format: Option<&str>) -> Result<bool, ResponderError> {
    let Some(format) = format else { return Ok(false) };
    let [kind] = pick("response_format", format, &["type"])?;
    match kind.and_then(decode_string).as_deref() {
        Some("text") => Ok(false),
        Some("json_object") => Ok(true),
        _ => Err(ResponderError::unsupported_value("response_format", "this format (only text and json_object)")),
    }
}

fn reject_unsupported(given: &KnownMembers<'_>) -> Result<(), ResponderError> {
    let word = |param| given.get(param).map(|value| decode_string(value).unwrap_or_default());
    if given.get(Param::Logprobs) == Some("true") {
        return Err(ResponderError::unsupported_value("logprobs", "true: it has no probabilities"));
    }
    if given.get(Param::TopLogprobs).is_some_and(|value| value != "0") {
        return Err(ResponderError::unsupported_parameter("top_logprobs"));
    }
    if given.get(Param::LogitBias).is_some_and(|bias| !is_empty(bias)) {
        return Err(ResponderError::unsupported_parameter("logit_bias"));
    }
    for param in [Param::Audio, Param::WebSearchOptions, Param::Moderation] {
        if given.get(param).is_some() {
            return Err(ResponderError::unsupported_parameter(param.name()));
        }
    }
    if given.get(Param::Modalities).map_or(Ok(false), has_other_than_text)? {
        return Err(ResponderError::unsupported_value("modalities", "any modality but text"));
    }
    if word(Param::ServiceTier).is_some_and(|tier| !matches!(&*tier, "auto" | "default")) {
        return Err(ResponderError::unsupported_value("service_tier", "any tier but auto and default"));
    }
    if given.get(Param::ToolChoice).map_or(Ok(false), forces_tool)? {
        return Err(ResponderError::unsupported_value("tool_choice", "a forced tool call (only none and auto)"));
    }
    if word(Param::FunctionCall).is_some_and(|call| !matches!(&*call, "none" | "auto")) {
        return Err(ResponderError::unsupported_value("function_call", "a forced function call (only none and auto)"));
    }
    Ok(())
}

fn has_other_than_text(modalities: &str) -> Result<bool, InvalidRequest> {
    let mut others = false;
    each_element("modalities", "an array of strings", modalities, |_, kind| {
        others |= kind != "\"text\"";
        Ok(())
    })?;
    Ok(others)
}

/// Whether the model would have to call a tool; this one never does.
fn forces_tool(choice: &str) -> Result<bool, InvalidRequest> {
    if let Some(word) = decode_string(choice) {
        return Ok(!matches!(&*word, "none" | "auto"));
    }
    // {"type": "allowed_tools", "allowed_tools": {"mode": "auto", ...}}
    let [kind, mode, allowed] = pick("tool_choice", choice, &["type", "mode", "allowed_tools"])?;
    let [mode] = allowed.map_or(Ok([mode]), |allowed| pick("tool_choice.allowed_tools", allowed, &["mode"]))?;
    let is = |value: Option<&str>, word: &str| value.and_then(decode_string).is_some_and(|text| text == word);
    Ok(!is(kind, "allowed_tools") || !is(mode, "auto"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::responder::tests::parsed;

    fn of(value: Value) -> Result<Options, ResponderError> {
        let request = parsed(value);
        read_options(&request, &request.members().unwrap())
    }

    #[test]
    fn an_unsupported_parameter_is_rejected_by_name() {
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
            let ResponderError::Unsupported { param: found, code: found_code, message } = of(request).unwrap_err()
            else {
                panic!()
            };
            assert_eq!((found.as_str(), found_code), (param, code));
            assert!(message.contains(param), "{message}");
        }
    }

    #[test]
    fn parameters_of_sampling_are_ignored_and_null_counts_as_absent() {
        let options = of(json!({
            "temperature": 0.2, "top_p": 1, "seed": 7, "user": "u", "store": true, "metadata": {"a": "b"}, "logprobs": false,
            "tools": [], "tool_choice": "auto", "service_tier": "auto", "logit_bias": {}, "presence_penalty": 1, "audio": null,
            "modalities": ["text"], "response_format": null, "stop": null, "n": null, "max_tokens": null, "function_call": "none",
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "reasoning_effort": "low",
        }));
        assert_eq!(options.unwrap(), Options { choices: 1, ..Options::default() });
    }

    #[test]
    fn supported_parameters_are_read() {
        let read = of(
            json!({"max_tokens": 3, "max_completion_tokens": 5, "stop": ["a", "b"], "n": 3, "response_format": {"type": "json_object"}}),
        );
        let expected = Options { max_tokens: Some(5), stop: vec!["a".into(), "b".into()], choices: 3, json: true };
        assert_eq!(read.unwrap(), expected);
    }
}
