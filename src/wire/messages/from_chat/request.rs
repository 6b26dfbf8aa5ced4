//! Translates a request for a chat completion to one for messages.

use super::tools::{push_tool_choice, translate_tools};
use super::turns::Turns;
use crate::wire::request::{
    InferenceRequest, InvalidRequest, NamedMembers, Path, RequestRules, UnknownMembers, decimal, decode_string,
    each_element, object, pick, present, string,
};
use crate::wire::translation::{Array, Object, quoted_json, refuse_others, refuse_untranslatable};

/// The limit of tokens for a request that sets none: what every current model of Anthropic's API allows. A smaller one
/// would cut long answers, and thinking counts too. An upstream with a smaller context refuses it; its clients must set
/// a limit.
pub const DEFAULT_MAX_TOKENS: u64 = 32_000;

/// The members that are translated, or left out without a change of what is asked.
const SUPPORTED: &[&str] = &[
    "cache_control",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// Members without a counterpart, and their values that ask for nothing, as clients write them.
const INERT: &[(&str, &[&str])] = &[
    ("frequency_penalty", &["0", "0.0"]),
    ("presence_penalty", &["0", "0.0"]),
    ("logit_bias", &["{}"]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("modalities", &["[\"text\"]"]),
    ("store", &["false"]),
    ("verbosity", &["\"medium\""]),
];

/// Values of `temperature` and `top_p` that are the default. Newer models refuse others, and both at once.
const ONE: [&str; 2] = ["1", "1.0"];

/// The body of the request for messages that asks what a request of chat completions asks, with the upstream's name of
/// the model; none leaves the client's. The [module's documentation](super) lists what is left out.
///
/// # Errors
/// [`InvalidRequest`] for the first member that has no counterpart, or whose value is wrong.
pub fn request(request: &InferenceRequest, model: Option<&str>) -> Result<String, InvalidRequest> {
    let text = simdutf8::basic::from_utf8(request.body()).map_err(|_| InvalidRequest::unreadable())?;
    // The depth was checked when the request was parsed.
    let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model: None };
    let members = NamedMembers::read(text, SUPPORTED, &rules)?;
    refuse_untranslatable(&members, SUPPORTED)?;
    for (name, values) in INERT {
        if members.get(name).is_some_and(|value| !values.contains(&value)) {
            return Err(InvalidRequest::untranslatable(name));
        }
    }
    if request.n != 1 {
        return Err(InvalidRequest::untranslatable("n"));
    }
    let turns = Turns::read(members.get("messages").ok_or_else(|| InvalidRequest::missing("messages"))?)?;
    let mut body = Object::new();
    body.text("model", model.unwrap_or(&request.model));
    body.raw("max_tokens", &request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS).to_string());
    body.raw_if("system", turns.system().as_deref()).raw("messages", &turns.into_messages()?);
    body.raw_if("stream", request.stream.then_some("true"));
    push_sampling(&mut body, &members)?;
    if let Some(stop) = members.get("stop") {
        body.raw_if("stop_sequences", stop_sequences(stop)?.as_deref());
    }
    let tools = members.get("tools").map_or(Ok(None), translate_tools)?;
    body.raw_if("tools", tools.as_deref());
    push_tool_choice(&mut body, &members, tools.is_some())?;
    push_effort_and_format(&mut body, &members)?;
    push_caller(&mut body, &members)?;
    if let Some(control) = members.get("cache_control") {
        object("cache_control", control)?;
        body.raw("cache_control", control);
    }
    Ok(body.finish())
}

fn push_sampling(body: &mut Object, members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    for name in ["temperature", "top_p"] {
        if let Some(value) = members.get(name) {
            decimal(name, value, 0, 1)?;
            body.raw_if(name, (!ONE.contains(&value)).then_some(value));
        }
    }
    body.raw_if("top_k", members.get("top_k"));
    Ok(())
}

/// The sequences as an array; none where there are none.
fn stop_sequences(stop: &str) -> Result<Option<String>, InvalidRequest> {
    let mut sequences = Array::default();
    if stop.starts_with('"') {
        string("stop", stop)?;
        sequences.push(stop);
    } else {
        each_element("stop", "one of a string or array of strings", stop, |at, element| {
            string(Path::element(&"stop", at), element)?;
            sequences.push(element);
            Ok(())
        })?;
    }
    Ok((!sequences.is_empty()).then(|| sequences.finish()))
}

/// Adds `thinking` and `output_config`.
fn push_effort_and_format(body: &mut Object, members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    const EFFORTS: [&str; 6] = ["none", "low", "medium", "high", "xhigh", "max"];
    const NAME: &str = "reasoning_effort";
    let mut config = Object::new();
    let (mut thinking, mut has_config) = (members.get("thinking"), false);
    if let Some(thinking) = thinking {
        object("thinking", thinking)?;
    }
    if let Some(value) = members.get(NAME) {
        let effort = string(NAME, value)?;
        if !EFFORTS.contains(&&*effort) {
            return Err(InvalidRequest::value(NAME, &effort, &EFFORTS));
        }
        let implied = if effort == "none" {
            r#"{"type":"disabled"}"#
        } else {
            config.text("effort", &effort);
            has_config = true;
            r#"{"type":"adaptive","display":"summarized"}"#
        };
        thinking.get_or_insert(implied);
    }
    if let Some(format) = members.get("response_format").map_or(Ok(None), output_format)? {
        config.raw("format", &format);
        has_config = true;
    }
    body.raw_if("thinking", thinking);
    if has_config {
        body.raw("output_config", &config.finish());
    }
    Ok(())
}

/// The format of an answer with a schema; none for text.
fn output_format(format: &str) -> Result<Option<String>, InvalidRequest> {
    const NAME: &str = "response_format";
    let path = Path::member(&NAME, "json_schema");
    let [kind, wrapped] = pick(NAME, format, &["type", "json_schema"])?;
    refuse_others(NAME, format, &["type", "json_schema"])?;
    match kind.and_then(decode_string).as_deref() {
        Some("text") => return Ok(None),
        Some("json_schema") => {}
        _ => return Err(InvalidRequest::untranslatable(Path::member(&NAME, "type"))),
    }
    let wrapped = present(wrapped).ok_or_else(|| InvalidRequest::missing(path))?;
    let [schema] = pick(path, wrapped, &["schema"])?;
    refuse_others(path, wrapped, &["name", "schema", "strict"])?;
    let at = Path::member(&path, "schema");
    let schema = present(schema).ok_or_else(|| InvalidRequest::missing(at))?;
    object(at, schema)?;
    Ok(Some(Object::new().raw("type", "\"json_schema\"").raw("schema", schema).finish()))
}

/// Adds `metadata` and `service_tier`.
fn push_caller(body: &mut Object, members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    let mut user = None;
    for name in ["user", "safety_identifier"] {
        if let Some(value) = members.get(name) {
            string(name, value)?;
            user = Some(value);
        }
    }
    if let Some(user) = user {
        body.raw("metadata", &Object::new().raw("user_id", user).finish());
    }
    if let Some(tier) = members.get("service_tier") {
        let tier = match &*string("service_tier", tier)? {
            "auto" => "auto",
            "default" => "standard_only",
            other => return Err(InvalidRequest::value("service_tier", other, &["auto", "default"])),
        };
        body.raw("service_tier", &quoted_json(tier));
    }
    Ok(())
}
