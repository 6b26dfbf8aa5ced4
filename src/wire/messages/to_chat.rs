//! Translates a request for messages to one for a chat completion.

use super::chat_messages::{push_messages, push_system};
use super::request::members;
use crate::wire::request::{
    InferenceRequest, InvalidRequest, NamedMembers, Path, boolean, decode_string, each_element, integer, object, pick,
    present, string,
};
use crate::wire::translation::{Array, Object, refuse_others, refuse_untranslatable};

/// The members that are translated, or left out without a change of what is asked.
const SUPPORTED: &[&str] = &[
    "cache_control",
    "context_management",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_p",
];

/// The body of a request for a chat completion that asks what a request for a message asks. Its model is the requested
/// one. Reads the body again.
///
/// # Errors
/// [`InvalidRequest`] for the first member that has no counterpart, or whose value is wrong.
pub fn to_chat(request: &InferenceRequest) -> Result<String, InvalidRequest> {
    translated(&members(request)?)
}

fn translated(members: &NamedMembers<'_>) -> Result<String, InvalidRequest> {
    refuse_untranslatable(members, SUPPORTED)?;
    context_management(members.get("context_management"))?;
    let mut messages = Array::default();
    push_system(&mut messages, "system", members.get("system"))?;
    push_messages(&mut messages, members.get("messages").ok_or_else(|| InvalidRequest::missing("messages"))?)?;
    let mut chat = Object::new();
    chat.raw_if("model", members.get("model")).raw("messages", &messages.finish());
    if members.get("stream") == Some("true") {
        chat.raw("stream", "true");
    }
    if let Some(max) = members.get("max_tokens") {
        integer("max_tokens", max, 1, i64::MAX)?;
        chat.raw("max_completion_tokens", max);
    }
    chat.raw_if("temperature", members.get("temperature")).raw_if("top_p", members.get("top_p"));
    if let Some(stop) = members.get("stop_sequences") {
        let count = each_element("stop_sequences", "an array of strings", stop, |at, element| {
            string(Path::element(&"stop_sequences", at), element).map(drop)
        })?;
        chat.raw_if("stop", (count > 0).then_some(stop));
    }
    if let Some(tools) = members.get("tools") {
        let tools = translate_tools(tools)?;
        chat.raw_if("tools", tools.as_deref());
    }
    if let Some(choice) = members.get("tool_choice") {
        push_tool_choice(&mut chat, choice)?;
    }
    push_output_config(&mut chat, members)?;
    if let Some(metadata) = members.get("metadata") {
        let path = Path::member(&"metadata", "user_id");
        let [user] = pick("metadata", metadata, &["user_id"])?;
        refuse_others("metadata", metadata, &["user_id"])?;
        if let Some(user) = present(user) {
            string(path, user)?;
            chat.raw("user", user);
        }
    }
    if let Some(tier) = members.get("service_tier") {
        let tier = match &*string("service_tier", tier)? {
            "auto" => "auto",
            "standard_only" => "default",
            other => return Err(InvalidRequest::value("service_tier", other, &["auto", "standard_only"])),
        };
        chat.text("service_tier", tier);
    }
    Ok(chat.finish())
}

/// Thinking is never sent to a chat upstream that did not generate it, so edits that remove it have no effect.
fn context_management(value: Option<&str>) -> Result<(), InvalidRequest> {
    let Some(value) = value else { return Ok(()) };
    refuse_others("context_management", value, &["edits"])?;
    let [edits] = pick("context_management", value, &["edits"])?;
    let Some(edits) = present(edits) else { return Ok(()) };
    each_element("context_management.edits", "an array of objects", edits, |at, edit| {
        let list = "context_management.edits";
        let path = Path::element(&list, at);
        let [kind] = pick(path, edit, &["type"])?;
        match kind.and_then(decode_string) {
            Some(kind) if kind.starts_with("clear_thinking_") => Ok(()),
            _ => Err(InvalidRequest::untranslatable(path)),
        }
    })
    .map(drop)
}

/// The tools of the chat request; none where the list is empty.
fn translate_tools(tools: &str) -> Result<Option<String>, InvalidRequest> {
    let mut translated = Array::default();
    each_element("tools", "an array of objects", tools, |at, tool| {
        let path = Path::element(&"tools", at);
        let member = |name| Path::member(&path, name);
        let names = ["type", "name", "description", "input_schema", "strict"];
        let [kind, name, description, schema, strict] = pick(path, tool, &names)?;
        if kind.and_then(present_value).and_then(decode_string).is_some_and(|kind| kind != "custom") {
            return Err(InvalidRequest::untranslatable(member("type")));
        }
        let hints = ["cache_control", "eager_input_streaming"];
        refuse_others(path, tool, &[&names[..], &hints[..]].concat())?;
        let name = present(name).ok_or_else(|| InvalidRequest::missing(member("name")))?;
        string(member("name"), name)?;
        let schema = present(schema).ok_or_else(|| InvalidRequest::missing(member("input_schema")))?;
        object(member("input_schema"), schema)?;
        let mut function = Object::new();
        function.raw("name", name).raw_if("description", present(description)).raw("parameters", schema);
        function.raw_if("strict", present(strict));
        translated.push(&Object::new().raw("type", "\"function\"").raw("function", &function.finish()).finish());
        Ok(())
    })?;
    Ok((!translated.is_empty()).then(|| translated.finish()))
}

fn present_value(value: &str) -> Option<&str> {
    present(Some(value))
}

fn push_tool_choice(chat: &mut Object, choice: &str) -> Result<(), InvalidRequest> {
    const NAME: &str = "tool_choice";
    let names = ["type", "name", "disable_parallel_tool_use"];
    let [kind, name, sequential] = pick(NAME, choice, &names)?;
    refuse_others(NAME, choice, &names)?;
    let kind = present(kind).ok_or_else(|| InvalidRequest::missing("tool_choice.type"))?;
    match &*string("tool_choice.type", kind)? {
        "auto" => chat.text(NAME, "auto"),
        "any" => chat.text(NAME, "required"),
        "none" => chat.text(NAME, "none"),
        "tool" => {
            let name = present(name).ok_or_else(|| InvalidRequest::missing("tool_choice.name"))?;
            string("tool_choice.name", name)?;
            let function = Object::new().raw("name", name).finish();
            chat.raw(NAME, &Object::new().raw("type", "\"function\"").raw("function", &function).finish())
        }
        other => return Err(InvalidRequest::value("tool_choice.type", other, &["auto", "any", "tool", "none"])),
    };
    if let Some(sequential) = present(sequential)
        && boolean("tool_choice.disable_parallel_tool_use", sequential)?
    {
        chat.raw("parallel_tool_calls", "false");
    }
    Ok(())
}

/// The schema of the answer, and the effort. `output_format` is the format's older place.
fn push_output_config(chat: &mut Object, members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    let mut format = members.get("output_format").map(|format| ("output_format", format));
    if let Some(config) = members.get("output_config") {
        let [effort, newer] = pick("output_config", config, &["effort", "format"])?;
        refuse_others("output_config", config, &["effort", "format"])?;
        if let Some(effort) = present(effort) {
            string("output_config.effort", effort)?;
            chat.raw("reasoning_effort", effort);
        }
        format = present(newer).map(|format| ("output_config.format", format)).or(format);
    }
    let Some((path, format)) = format else { return Ok(()) };
    let [kind, schema] = pick(path, format, &["type", "schema"])?;
    refuse_others(path, format, &["type", "schema"])?;
    if kind.and_then(decode_string).as_deref() != Some("json_schema") {
        return Err(InvalidRequest::untranslatable(format_args!("{path}.type")));
    }
    let schema = present(schema).ok_or_else(|| InvalidRequest::missing(format_args!("{path}.schema")))?;
    object(format_args!("{path}.schema"), schema)?;
    let schema = Object::new().raw("name", "\"output\"").raw("schema", schema).raw("strict", "true").finish();
    chat.raw("response_format", &Object::new().raw("type", "\"json_schema\"").raw("json_schema", &schema).finish());
    Ok(())
}
