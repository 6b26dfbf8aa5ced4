//! Checks of the parameters beside `messages`: those that routing, limits and accounting read in every request, and
//! OpenAI's types and ranges.

use std::sync::Arc;

use super::invalid_request::InvalidRequest;
use super::known_members::KnownMembers;
use super::param::Param;
use super::path::Path;
use super::rules::Checks;
use super::values::{self, decimal, each_element, each_member, integer, object, pick, present, string};

/// The longest name of a model, characters; the same as in the configuration.
const MAX_MODEL: usize = 256;
/// The largest `n`.
const MAX_CHOICES: i64 = 128;

/// The sizes that limits and the local model need.
pub(super) struct Counts {
    pub(super) n: u64,
    pub(super) max_tokens: Option<u64>,
}

/// The value of `stream_options`.
#[derive(Default)]
pub(super) struct StreamOptions<'a> {
    pub(super) include_usage: bool,
    /// The JSON of `include_usage`, if it is there.
    pub(super) include_usage_value: Option<&'a str>,
    /// Whether the client sets `continuous_usage_stats` itself.
    pub(super) sets_continuous: bool,
}

pub(in crate::wire) fn model(value: Option<&str>) -> Result<Arc<str>, InvalidRequest> {
    let model = string("model", value.ok_or_else(InvalidRequest::no_model)?)?;
    if model.is_empty() {
        return Err(InvalidRequest::no_model());
    }
    // Each character is at least a byte.
    if model.len() > MAX_MODEL && model.chars().count() > MAX_MODEL {
        return Err(InvalidRequest::long_string("model", MAX_MODEL, model.chars().count()));
    }
    Ok(model.into())
}

/// Reads `stream`, strictly: petstream and the upstream must agree on it, so that what only some servers take for a
/// boolean is rejected.
pub(in crate::wire) fn stream(value: Option<&str>) -> Result<bool, InvalidRequest> {
    value.map_or(Ok(false), |value| values::boolean("stream", value))
}

pub(super) fn stream_options(
    value: Option<&str>,
    stream: bool,
    checks: Checks,
) -> Result<StreamOptions<'_>, InvalidRequest> {
    const NAME: &str = "stream_options";
    let Some(value) = value else { return Ok(StreamOptions::default()) };
    if !stream && checks == Checks::Routing {
        return Ok(StreamOptions::default());
    }
    let names = ["include_usage", "include_obfuscation", "continuous_usage_stats"];
    let [usage, obfuscation, continuous] = pick(NAME, value, &names)?;
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(InvalidRequest::conflict(NAME, message));
    }
    let check =
        |name, value| present(value).map_or(Ok(false), |value| values::boolean(Path::member(&NAME, name), value));
    let include_usage = check("include_usage", usage)?;
    if checks == Checks::OpenAi {
        check("include_obfuscation", obfuscation)?;
    }
    Ok(StreamOptions { include_usage, include_usage_value: usage, sets_continuous: continuous.is_some() })
}

/// Reads `n` and the limit of tokens. For upstreams numbers are read as lenient servers read them; of two limits the
/// larger one counts, since servers differ in which one they apply, and zero or less is no limit, as with llama.cpp.
pub(super) fn counts(members: &KnownMembers<'_>, checks: Checks) -> Result<Counts, InvalidRequest> {
    let n = members.get(Param::N);
    let [old, new] = [Param::MaxTokens, Param::MaxCompletionTokens].map(|param| (param, members.get(param)));
    if checks == Checks::OpenAi {
        let n = n.map_or(Ok(1), |value| integer("n", value, 1, MAX_CHOICES))?;
        let read = |(param, value): (Param, Option<&str>)| {
            value.map(|value| integer(param.name(), value, 1, i64::MAX)).transpose()
        };
        let (old, new) = (read(old)?, read(new)?);
        return Ok(Counts { n: positive(n).unwrap_or(1), max_tokens: new.or(old).and_then(positive) });
    }
    let n = n.map_or(Ok(1), |value| values::lenient_integer_in("n", value, 1, MAX_CHOICES))?;
    let read = |(param, value): (Param, Option<&str>)| {
        value.map(|value| values::lenient_integer(param.name(), value)).transpose()
    };
    let max_tokens = match (read(old)?, read(new)?) {
        (Some(old), Some(new)) => positive(old).zip(positive(new)).map(|(old, new)| old.max(new)),
        (old, new) => old.or(new).and_then(positive),
    };
    Ok(Counts { n: positive(n).unwrap_or(1), max_tokens })
}

fn positive(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// Enforces OpenAI's types and ranges. Values that depend on the model are left to its server.
pub(super) fn parameters(members: &KnownMembers<'_>) -> Result<(), InvalidRequest> {
    for (param, value) in members.all() {
        let name = param.name();
        match param {
            Param::Temperature => decimal(name, value, 0, 2)?,
            Param::TopP => decimal(name, value, 0, 1)?,
            Param::PresencePenalty | Param::FrequencyPenalty => decimal(name, value, -2, 2)?,
            Param::Seed => drop(integer(name, value, i64::MIN, i64::MAX)?),
            Param::TopLogprobs => top_logprobs(value, members)?,
            Param::Logprobs | Param::Store | Param::ParallelToolCalls => drop(values::boolean(name, value)?),
            Param::User
            | Param::SafetyIdentifier
            | Param::ServiceTier
            | Param::ReasoningEffort
            | Param::Verbosity
            | Param::PromptCacheKey => drop(string(name, value)?),
            Param::Stop => stop(value)?,
            Param::Metadata => metadata(value)?,
            Param::LogitBias | Param::Audio | Param::Prediction | Param::WebSearchOptions => object(name, value)?,
            Param::ResponseFormat => response_format(value)?,
            Param::Tools => tools(value)?,
            Param::Functions => drop(each_element(name, "an array of objects", value, |_, _| Ok(()))?),
            Param::Modalities => drop(each_element(name, "an array of strings", value, |_, _| Ok(()))?),
            Param::ToolChoice => choice(name, value, &["none", "auto", "required"])?,
            Param::FunctionCall => choice(name, value, &["none", "auto"])?,
            _ => {}
        }
    }
    Ok(())
}

fn top_logprobs(value: &str, members: &KnownMembers<'_>) -> Result<(), InvalidRequest> {
    let number = integer("top_logprobs", value, 0, 20)?;
    if number > 0 && members.get(Param::Logprobs) != Some("true") {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(InvalidRequest::conflict("top_logprobs", message));
    }
    Ok(())
}

fn stop(value: &str) -> Result<(), InvalidRequest> {
    if value.starts_with('"') {
        return Ok(());
    }
    let mut wrong_type = None;
    let count = each_element("stop", "one of a string or array of strings", value, |at, element| {
        if at < 4 && wrong_type.is_none() {
            wrong_type = string(Path::element(&"stop", at), element).err();
        }
        Ok(())
    })?;
    match (count, wrong_type) {
        (0, _) => Err(InvalidRequest::empty_array("stop")),
        (5.., _) => Err(InvalidRequest::long_array("stop", 4, count)),
        (_, Some(invalid)) => Err(invalid),
        _ => Ok(()),
    }
}

fn metadata(value: &str) -> Result<(), InvalidRequest> {
    let count = each_member("metadata", value, |_, _| Ok(()))?;
    if count > 16 {
        return Err(InvalidRequest::many_members("metadata", 16, count));
    }
    each_member("metadata", value, |key, value| {
        let length = key.chars().count();
        if length > 64 {
            return Err(InvalidRequest::long_string("metadata", 64, length));
        }
        let path = Path::member(&"metadata", &key);
        let length = string(path, value)?.chars().count();
        if length > 512 { Err(InvalidRequest::long_string(path, 512, length)) } else { Ok(()) }
    })
    .map(drop)
}

fn response_format(value: &str) -> Result<(), InvalidRequest> {
    const NAME: &str = "response_format";
    let at = |name| Path::member(&NAME, name);
    let [kind, schema] = pick(NAME, value, &["type", "json_schema"])?;
    let kind = present(kind).ok_or_else(|| InvalidRequest::missing(at("type")))?;
    match &*string(at("type"), kind)? {
        "text" | "json_object" => Ok(()),
        "json_schema" => {
            let path = at("json_schema");
            let schema = present(schema).ok_or_else(|| InvalidRequest::missing(path))?;
            let [name] = pick(path, schema, &["name"])?;
            let path = Path::member(&path, "name");
            string(path, present(name).ok_or_else(|| InvalidRequest::missing(path))?).map(drop)
        }
        other => Err(InvalidRequest::value(at("type"), other, &["json_object", "json_schema", "text"])),
    }
}

fn tools(value: &str) -> Result<(), InvalidRequest> {
    each_element("tools", "an array of objects", value, |at, tool| {
        let path = Path::element(&"tools", at);
        let [kind] = pick(path, tool, &["type"])?;
        let path = Path::member(&path, "type");
        string(path, present(kind).ok_or_else(|| InvalidRequest::missing(path))?).map(drop)
    })
    .map(drop)
}

/// Checks `tool_choice` and `function_call`: one of `words`, or an object that names a tool.
fn choice(param: &str, value: &str, words: &[&str]) -> Result<(), InvalidRequest> {
    if value.starts_with('{') {
        return Ok(());
    }
    if !value.starts_with('"') {
        return Err(InvalidRequest::wrong_type(param, "one of a string or object", value));
    }
    let word = string(param, value)?;
    if words.contains(&&*word) { Ok(()) } else { Err(InvalidRequest::value(param, &word, words)) }
}
