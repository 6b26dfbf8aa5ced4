//! Translates a request for a response to one for a chat completion.

use super::chat_messages::push_input;
use super::request::members;
use super::tools::{push_tool_choice, translate_tools};
use crate::wire::request::{
    InferenceRequest, InvalidRequest, NamedMembers, Path, boolean, decode_string, each_element, integer, object, pick,
    present, string,
};
use crate::wire::translation::{Array, Object, refuse_others, refuse_untranslatable};

/// The members that are translated, or left out without a change of what is asked.
const SUPPORTED: &[&str] = &[
    "background",
    "client_metadata",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The body of a request for a chat completion that asks what a request of a response asks. Its model is the requested
/// one. Reads the body again.
///
/// # Errors
/// [`InvalidRequest`] for the first member that has no counterpart, or whose value is wrong.
pub fn to_chat(request: &InferenceRequest) -> Result<String, InvalidRequest> {
    translated(&members(request)?)
}

fn translated(members: &NamedMembers<'_>) -> Result<String, InvalidRequest> {
    refuse_untranslatable(members, SUPPORTED)?;
    refuse_values(members)?;
    let mut messages = Array::default();
    if let Some(instructions) = members.get("instructions") {
        string("instructions", instructions)?;
        messages.push(&Object::new().raw("role", "\"system\"").raw("content", instructions).finish());
    }
    push_input(&mut messages, members.get("input").ok_or_else(|| InvalidRequest::missing("input"))?)?;
    let mut chat = Object::new();
    chat.raw_if("model", members.get("model")).raw("messages", &messages.finish());
    if members.get("stream") == Some("true") {
        chat.raw("stream", "true");
    }
    if let Some(max) = members.get("max_output_tokens") {
        integer("max_output_tokens", max, 1, i64::MAX)?;
        chat.raw("max_completion_tokens", max);
    }
    for name in ["temperature", "top_p"] {
        chat.raw_if(name, members.get(name));
    }
    let tools = members.get("tools").map_or(Ok(None), translate_tools)?;
    if let Some(tools) = &tools {
        chat.raw("tools", tools);
        // Chat allows it with tools only.
        if let Some(parallel) = members.get("parallel_tool_calls") {
            boolean("parallel_tool_calls", parallel)?;
            chat.raw("parallel_tool_calls", parallel);
        }
    }
    if let Some(choice) = members.get("tool_choice") {
        push_tool_choice(&mut chat, choice, tools.is_some())?;
    }
    push_text(&mut chat, members.get("text"))?;
    push_reasoning(&mut chat, members.get("reasoning"))?;
    for name in ["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "user"] {
        if let Some(value) = members.get(name) {
            string(name, value)?;
            chat.raw(name, value);
        }
    }
    Ok(chat.finish())
}

/// Fails for members of which only some values can be translated.
fn refuse_values(members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    let refuse = |name: &str| Err(InvalidRequest::untranslatable(name));
    if members.get("background").map_or(Ok(false), |value| boolean("background", value))? {
        return refuse("background");
    }
    if let Some(truncation) = members.get("truncation")
        && string("truncation", truncation)? != "disabled"
    {
        return refuse("truncation");
    }
    if let Some(top) = members.get("top_logprobs")
        && integer("top_logprobs", top, 0, 20)? > 0
    {
        return refuse("top_logprobs");
    }
    let Some(include) = members.get("include") else { return Ok(()) };
    each_element("include", "an array of strings", include, |at, element| {
        let path = Path::element(&"include", at);
        // There is none to include.
        if string(path, element)? == "reasoning.encrypted_content" {
            return Ok(());
        }
        Err(InvalidRequest::untranslatable(path))
    })
    .map(drop)
}

/// The format of the answer, and its verbosity.
fn push_text(chat: &mut Object, text: Option<&str>) -> Result<(), InvalidRequest> {
    let Some(text) = text else { return Ok(()) };
    let [format, verbosity] = pick("text", text, &["format", "verbosity"])?;
    refuse_others("text", text, &["format", "verbosity"])?;
    if let Some(verbosity) = present(verbosity) {
        string("text.verbosity", verbosity)?;
        chat.raw("verbosity", verbosity);
    }
    let Some(format) = present(format) else { return Ok(()) };
    let names = ["type", "name", "description", "schema", "strict"];
    let [kind, name, description, schema, strict] = pick("text.format", format, &names)?;
    refuse_others("text.format", format, &names)?;
    let kind = present(kind).ok_or_else(|| InvalidRequest::missing("text.format.type"))?;
    let translated = match &*string("text.format.type", kind)? {
        "text" => return Ok(()),
        "json_object" => Object::new().raw("type", kind).finish(),
        "json_schema" => {
            let required = |value, path| present(value).ok_or_else(|| InvalidRequest::missing(path));
            let (name, schema) = (required(name, "text.format.name")?, required(schema, "text.format.schema")?);
            string("text.format.name", name)?;
            object("text.format.schema", schema)?;
            let mut inner = Object::new();
            inner.raw("name", name).raw_if("description", present(description)).raw("schema", schema);
            let inner = inner.raw_if("strict", present(strict)).finish();
            Object::new().raw("type", kind).raw("json_schema", &inner).finish()
        }
        other => {
            return Err(InvalidRequest::value("text.format.type", other, &["text", "json_object", "json_schema"]));
        }
    };
    chat.raw("response_format", &translated);
    Ok(())
}

/// The effort. A summary is not there to be returned: chat upstreams send reasoning as it is, or none.
fn push_reasoning(chat: &mut Object, reasoning: Option<&str>) -> Result<(), InvalidRequest> {
    let Some(reasoning) = reasoning else { return Ok(()) };
    let [effort, context] = pick("reasoning", reasoning, &["effort", "context"])?;
    refuse_others("reasoning", reasoning, &["effort", "summary", "generate_summary", "context"])?;
    if context.and_then(decode_string).is_some_and(|context| context != "auto") {
        return Err(InvalidRequest::untranslatable("reasoning.context"));
    }
    if let Some(effort) = present(effort) {
        string("reasoning.effort", effort)?;
        chat.raw("reasoning_effort", effort);
    }
    Ok(())
}
