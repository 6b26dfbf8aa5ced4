//! The parameters beside `messages`: types and ranges of the contract.

use std::sync::Arc;

use super::invalid::Invalid;
use super::shape::{self, array, decimal, field, integer, object, present, string};
use crate::wire::members::Member;

/// Every parameter of the contract, deprecated ones included.
const KNOWN: [&str; 37] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

pub(super) fn is_known(param: &str) -> bool {
    KNOWN.binary_search(&param).is_ok()
}

/// The numbers that limits and the local model need.
pub(super) struct Counts {
    pub(super) n: Option<u64>,
    pub(super) max_tokens: Option<u64>,
}

/// What the client said of usage on its stream.
pub(super) struct StreamOptions<'a> {
    pub(super) include_usage: bool,
    /// The value of `include_usage` as written, if there is one.
    pub(super) include_usage_value: Option<&'a str>,
}

pub(super) fn model(value: Option<&str>) -> Result<Arc<str>, Invalid> {
    let value = present(value).ok_or_else(Invalid::no_model)?;
    let model = string("model", value)?;
    if model.is_empty() { Err(Invalid::no_model()) } else { Ok(model.into()) }
}

pub(super) fn boolean(param: &str, value: Option<&str>) -> Result<bool, Invalid> {
    present(value).map_or(Ok(false), |value| shape::boolean(param, value))
}

pub(super) fn stream_options(value: Option<&str>, stream: bool) -> Result<StreamOptions<'_>, Invalid> {
    let Some(value) = present(value) else {
        return Ok(StreamOptions { include_usage: false, include_usage_value: None });
    };
    let all = object("stream_options", value)?;
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Invalid::conflict("stream_options", message));
    }
    for name in ["include_usage", "include_obfuscation"] {
        if all.iter().filter(|member| member.key == name).count() > 1 {
            return Err(Invalid::repeated(&format!("stream_options.{name}")));
        }
        boolean(&format!("stream_options.{name}"), field(&all, name))?;
    }
    let include_usage_value = field(&all, "include_usage");
    Ok(StreamOptions { include_usage: include_usage_value == Some("true"), include_usage_value })
}

/// Checks every parameter that is there. Unknown ones and those whose values change with each model are left to
/// whoever serves the model.
pub(super) fn parameters(all: &[Member<'_>]) -> Result<Counts, Invalid> {
    let mut counts = Counts { n: None, max_tokens: None };
    let mut max_completion_tokens = None;
    for member in all {
        let (param, Some(value)) = (&*member.key, present(Some(member.value))) else { continue };
        match param {
            "temperature" => decimal(param, value, 0, 2)?,
            "top_p" => decimal(param, value, 0, 1)?,
            "presence_penalty" | "frequency_penalty" => decimal(param, value, -2, 2)?,
            "n" => counts.n = u64::try_from(integer(param, value, 1, 128)?).ok(),
            "max_tokens" => counts.max_tokens = u64::try_from(integer(param, value, 1, i64::MAX)?).ok(),
            "max_completion_tokens" => max_completion_tokens = u64::try_from(integer(param, value, 1, i64::MAX)?).ok(),
            "seed" => drop(integer(param, value, i64::MIN, i64::MAX)?),
            "top_logprobs" => top_logprobs(value, all)?,
            "logprobs" | "store" | "parallel_tool_calls" => drop(shape::boolean(param, value)?),
            "user" | "safety_identifier" | "service_tier" | "reasoning_effort" | "verbosity" | "prompt_cache_key" => {
                drop(string(param, value)?);
            }
            "stop" => stop(value)?,
            "metadata" => metadata(value)?,
            "logit_bias" | "audio" | "prediction" | "web_search_options" => drop(object(param, value)?),
            "response_format" => response_format(value)?,
            "tools" => tools(value)?,
            "functions" => drop(array(param, "an array of objects", value)?),
            "modalities" => drop(array(param, "an array of strings", value)?),
            "tool_choice" => choice(param, value, &["none", "auto", "required"])?,
            "function_call" => choice(param, value, &["none", "auto"])?,
            _ => {}
        }
    }
    counts.max_tokens = max_completion_tokens.or(counts.max_tokens);
    Ok(counts)
}

fn top_logprobs(value: &str, all: &[Member<'_>]) -> Result<(), Invalid> {
    let number = integer("top_logprobs", value, 0, 20)?;
    if number > 0 && field(all, "logprobs") != Some("true") {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(Invalid::conflict("top_logprobs", message));
    }
    Ok(())
}

fn stop(value: &str) -> Result<(), Invalid> {
    if value.starts_with('"') {
        return Ok(());
    }
    let all = array("stop", "one of a string or array of strings", value)?;
    if all.is_empty() {
        return Err(Invalid::empty_array("stop"));
    }
    if all.len() > 4 {
        return Err(Invalid::long_array("stop", 4, all.len()));
    }
    all.into_iter().enumerate().try_for_each(|(at, one)| string(&format!("stop[{at}]"), one).map(drop))
}

fn metadata(value: &str) -> Result<(), Invalid> {
    let all = object("metadata", value)?;
    if all.len() > 16 {
        return Err(Invalid::many_members("metadata", 16, all.len()));
    }
    for member in &all {
        let length = member.key.chars().count();
        if length > 64 {
            return Err(Invalid::long_string("metadata", 64, length));
        }
        let path = format!("metadata.{}", member.key);
        let length = string(&path, member.value)?.chars().count();
        if length > 512 {
            return Err(Invalid::long_string(&path, 512, length));
        }
    }
    Ok(())
}

fn response_format(value: &str) -> Result<(), Invalid> {
    let all = object("response_format", value)?;
    let kind = present(field(&all, "type")).ok_or_else(|| Invalid::missing("response_format.type"))?;
    match &*string("response_format.type", kind)? {
        "text" | "json_object" => Ok(()),
        "json_schema" => {
            let path = "response_format.json_schema";
            let schema = present(field(&all, "json_schema")).ok_or_else(|| Invalid::missing(path))?;
            let name = format!("{path}.name");
            let all = object(path, schema)?;
            let value = present(field(&all, "name")).ok_or_else(|| Invalid::missing(&name))?;
            string(&name, value).map(drop)
        }
        other => Err(Invalid::value("response_format.type", other, &["json_object", "json_schema", "text"])),
    }
}

fn tools(value: &str) -> Result<(), Invalid> {
    for (at, tool) in array("tools", "an array of objects", value)?.into_iter().enumerate() {
        let path = format!("tools[{at}]");
        let all = object(&path, tool)?;
        let path = format!("{path}.type");
        let kind = present(field(&all, "type")).ok_or_else(|| Invalid::missing(&path))?;
        string(&path, kind)?;
    }
    Ok(())
}

/// A word of the contract, or an object that names a tool.
fn choice(param: &str, value: &str, words: &[&str]) -> Result<(), Invalid> {
    if value.starts_with('{') {
        return Ok(());
    }
    if !value.starts_with('"') {
        return Err(Invalid::wrong_type(param, "one of a string or object", value));
    }
    let word = string(param, value)?;
    if words.contains(&&*word) { Ok(()) } else { Err(Invalid::value(param, &word, words)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_parameters_are_sorted_for_the_search() {
        assert!(KNOWN.is_sorted());
    }
}
