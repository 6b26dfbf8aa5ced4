//! The parameters beside `messages`: those that routing, limits and accounting need of every request, and the types and
//! ranges of OpenAI's.

use std::sync::Arc;

use super::Checks;
use super::given::Given;
use super::invalid::Invalid;
use super::known::Param;
use super::shape::{self, Path, decimal, each_element, each_member, integer, object, pick, present, string};

/// Longest name of a model, characters: that of the configuration.
const MAX_MODEL: usize = 256;
/// Most choices of a request.
const MAX_CHOICES: i64 = 128;

/// The numbers that limits and the local model need.
pub(super) struct Counts {
    pub(super) n: u64,
    pub(super) max_tokens: Option<u64>,
}

/// What the client said of usage on its stream.
#[derive(Default)]
pub(super) struct StreamOptions<'a> {
    pub(super) include_usage: bool,
    /// The value of `include_usage` as written, if there is one.
    pub(super) include_usage_value: Option<&'a str>,
    /// It says itself whether every chunk shall tell usage.
    pub(super) says_running: bool,
}

pub(super) fn model(value: Option<&str>) -> Result<Arc<str>, Invalid> {
    let model = string("model", value.ok_or_else(Invalid::no_model)?)?;
    if model.is_empty() {
        return Err(Invalid::no_model());
    }
    // Each character is at least a byte.
    if model.len() > MAX_MODEL && model.chars().count() > MAX_MODEL {
        return Err(Invalid::long_string("model", MAX_MODEL, model.chars().count()));
    }
    Ok(model.into())
}

/// `stream` decides between two ways of answering: what only some readers take for a boolean is refused.
pub(super) fn boolean(param: &str, value: Option<&str>) -> Result<bool, Invalid> {
    value.map_or(Ok(false), |value| shape::boolean(param, value))
}

pub(super) fn stream_options(value: Option<&str>, stream: bool, checks: Checks) -> Result<StreamOptions<'_>, Invalid> {
    const NAME: &str = "stream_options";
    let Some(value) = value else { return Ok(StreamOptions::default()) };
    if !stream && checks == Checks::Routing {
        return Ok(StreamOptions::default());
    }
    let names = ["include_usage", "include_obfuscation", "continuous_usage_stats"];
    let [usage, obfuscation, running] = pick(NAME, value, &names)?;
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Invalid::conflict(NAME, message));
    }
    let check =
        |name, value| present(value).map_or(Ok(false), |value| shape::boolean(Path::member(&NAME, name), value));
    let include_usage = check("include_usage", usage)?;
    if checks == Checks::OpenAi {
        check("include_obfuscation", obfuscation)?;
    }
    Ok(StreamOptions { include_usage, include_usage_value: usage, says_running: running.is_some() })
}

/// The numbers as lenient servers read them. Of two limits of tokens the larger one counts, since it depends on the server
/// which it keeps to; zero and less mean none, as with llama.cpp.
pub(super) fn counts(given: &Given<'_>, checks: Checks) -> Result<Counts, Invalid> {
    let n = given.get(Param::N);
    let [older, newer] = [Param::MaxTokens, Param::MaxCompletionTokens].map(|param| (param, given.get(param)));
    if checks == Checks::OpenAi {
        let n = n.map_or(Ok(1), |value| integer("n", value, 1, MAX_CHOICES))?;
        let read = |(param, value): (Param, Option<&str>)| {
            value.map(|value| integer(param.name(), value, 1, i64::MAX)).transpose()
        };
        let (older, newer) = (read(older)?, read(newer)?);
        return Ok(Counts { n: positive(n).unwrap_or(1), max_tokens: newer.or(older).and_then(positive) });
    }
    let n = n.map_or(Ok(1), |value| shape::whole_within("n", value, 1, MAX_CHOICES))?;
    let read = |(param, value): (Param, Option<&str>)| value.map(|value| shape::whole(param.name(), value)).transpose();
    let max_tokens = match (read(older)?, read(newer)?) {
        (Some(older), Some(newer)) => positive(older).zip(positive(newer)).map(|(older, newer)| older.max(newer)),
        (one, other) => one.or(other).and_then(positive),
    };
    Ok(Counts { n: positive(n).unwrap_or(1), max_tokens })
}

fn positive(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// Checks every parameter that is there. Those whose values change with each model are left to whoever serves the model.
pub(super) fn parameters(given: &Given<'_>) -> Result<(), Invalid> {
    for (param, value) in given.all() {
        let name = param.name();
        match param {
            Param::Temperature => decimal(name, value, 0, 2)?,
            Param::TopP => decimal(name, value, 0, 1)?,
            Param::PresencePenalty | Param::FrequencyPenalty => decimal(name, value, -2, 2)?,
            Param::Seed => drop(integer(name, value, i64::MIN, i64::MAX)?),
            Param::TopLogprobs => top_logprobs(value, given)?,
            Param::Logprobs | Param::Store | Param::ParallelToolCalls => drop(shape::boolean(name, value)?),
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

fn top_logprobs(value: &str, given: &Given<'_>) -> Result<(), Invalid> {
    let number = integer("top_logprobs", value, 0, 20)?;
    if number > 0 && given.get(Param::Logprobs) != Some("true") {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(Invalid::conflict("top_logprobs", message));
    }
    Ok(())
}

fn stop(value: &str) -> Result<(), Invalid> {
    if value.starts_with('"') {
        return Ok(());
    }
    let mut wrong = None;
    let count = each_element("stop", "one of a string or array of strings", value, |at, one| {
        if at < 4 && wrong.is_none() {
            wrong = string(Path::element(&"stop", at), one).err();
        }
        Ok(())
    })?;
    match (count, wrong) {
        (0, _) => Err(Invalid::empty_array("stop")),
        (5.., _) => Err(Invalid::long_array("stop", 4, count)),
        (_, Some(wrong)) => Err(wrong),
        _ => Ok(()),
    }
}

fn metadata(value: &str) -> Result<(), Invalid> {
    let count = each_member("metadata", value, |_, _| Ok(()))?;
    if count > 16 {
        return Err(Invalid::many_members("metadata", 16, count));
    }
    each_member("metadata", value, |key, value| {
        let length = key.chars().count();
        if length > 64 {
            return Err(Invalid::long_string("metadata", 64, length));
        }
        let path = Path::member(&"metadata", &key);
        let length = string(path, value)?.chars().count();
        if length > 512 { Err(Invalid::long_string(path, 512, length)) } else { Ok(()) }
    })
    .map(drop)
}

fn response_format(value: &str) -> Result<(), Invalid> {
    const NAME: &str = "response_format";
    let at = |name| Path::member(&NAME, name);
    let [kind, schema] = pick(NAME, value, &["type", "json_schema"])?;
    let kind = present(kind).ok_or_else(|| Invalid::missing(at("type")))?;
    match &*string(at("type"), kind)? {
        "text" | "json_object" => Ok(()),
        "json_schema" => {
            let path = at("json_schema");
            let schema = present(schema).ok_or_else(|| Invalid::missing(path))?;
            let [name] = pick(path, schema, &["name"])?;
            let path = Path::member(&path, "name");
            string(path, present(name).ok_or_else(|| Invalid::missing(path))?).map(drop)
        }
        other => Err(Invalid::value(at("type"), other, &["json_object", "json_schema", "text"])),
    }
}

fn tools(value: &str) -> Result<(), Invalid> {
    each_element("tools", "an array of objects", value, |at, tool| {
        let path = Path::element(&"tools", at);
        let [kind] = pick(path, tool, &["type"])?;
        let path = Path::member(&path, "type");
        string(path, present(kind).ok_or_else(|| Invalid::missing(path))?).map(drop)
    })
    .map(drop)
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
