//! Translates the tools of a request, and which of them are to be called.

use crate::wire::request::{
    InvalidRequest, NamedMembers, Path, boolean, decode_string, each_element, is_empty, object, pick, present, string,
};
use crate::wire::translation::{Array, Object, refuse_others};

/// The schema of a tool without parameters: the API requires one with a type.
const NO_PARAMETERS: &str = "{\"type\":\"object\"}";

/// The tools of the request for messages; none where the list is empty.
pub(super) fn translate_tools(tools: &str) -> Result<Option<String>, InvalidRequest> {
    let mut translated = Array::default();
    each_element("tools", "an array of objects", tools, |at, tool| {
        translated.push(&translate_tool(Path::element(&"tools", at), tool)?);
        Ok(())
    })?;
    Ok((!translated.is_empty()).then(|| translated.finish()))
}

fn translate_tool(path: Path<'_>, tool: &str) -> Result<String, InvalidRequest> {
    let [kind, function, control] = pick(path, tool, &["type", "function", "cache_control"])?;
    if kind.and_then(decode_string).as_deref() != Some("function") {
        return Err(InvalidRequest::untranslatable(Path::member(&path, "type")));
    }
    refuse_others(path, tool, &["type", "function", "cache_control"])?;
    let at = Path::member(&path, "function");
    let member = |name| Path::member(&at, name);
    let function = present(function).ok_or_else(|| InvalidRequest::missing(at))?;
    let names = ["name", "description", "parameters", "strict"];
    let [name, description, parameters, strict] = pick(at, function, &names)?;
    refuse_others(at, function, &names)?;
    let name = present(name).ok_or_else(|| InvalidRequest::missing(member("name")))?;
    string(member("name"), name)?;
    let mut translated = Object::new();
    translated.raw("name", name);
    if let Some(description) = present(description) {
        string(member("description"), description)?;
        translated.raw("description", description);
    }
    let mut schema = NO_PARAMETERS;
    if let Some(parameters) = present(parameters) {
        object(member("parameters"), parameters)?;
        schema = if is_empty(parameters) { NO_PARAMETERS } else { parameters };
    }
    translated.raw("input_schema", schema);
    if let Some(strict) = present(strict)
        && boolean(member("strict"), strict)?
    {
        translated.raw("strict", "true");
    }
    if let Some(control) = present(control) {
        object(Path::member(&path, "cache_control"), control)?;
        translated.raw("cache_control", control);
    }
    Ok(translated.finish())
}

/// Adds `tool_choice`. `parallel_tool_calls` is a part of it there.
pub(super) fn push_tool_choice(
    body: &mut Object,
    members: &NamedMembers<'_>,
    has_tools: bool,
) -> Result<(), InvalidRequest> {
    const NAME: &str = "tool_choice";
    let parallel =
        members.get("parallel_tool_calls").map_or(Ok(true), |value| boolean("parallel_tool_calls", value))?;
    let choice = members.get(NAME);
    let mut translated = Object::new();
    match choice {
        Some(choice) if choice.starts_with('"') => match &*string(NAME, choice)? {
            "auto" | "none" if !has_tools => return Ok(()),
            "none" => {
                body.raw(NAME, "{\"type\":\"none\"}");
                return Ok(());
            }
            "auto" => translated.text("type", "auto"),
            "required" => translated.text("type", "any"),
            other => return Err(InvalidRequest::value(NAME, other, &["none", "auto", "required"])),
        },
        Some(choice) if choice.starts_with('{') => translated.text("type", "tool").raw("name", named(choice)?),
        Some(other) => return Err(InvalidRequest::wrong_type(NAME, "one of a string or object", other)),
        None if parallel || !has_tools => return Ok(()),
        None => translated.text("type", "auto"),
    };
    if !parallel {
        translated.raw("disable_parallel_tool_use", "true");
    }
    body.raw(NAME, &translated.finish());
    Ok(())
}

/// The name, as JSON, of the function that a choice demands.
fn named(choice: &str) -> Result<&str, InvalidRequest> {
    const NAME: &str = "tool_choice";
    let [kind, function] = pick(NAME, choice, &["type", "function"])?;
    if kind.and_then(decode_string).as_deref() != Some("function") {
        return Err(InvalidRequest::untranslatable(Path::member(&NAME, "type")));
    }
    refuse_others(NAME, choice, &["type", "function"])?;
    let path = Path::member(&NAME, "function");
    let function = present(function).ok_or_else(|| InvalidRequest::missing(path))?;
    let [name] = pick(path, function, &["name"])?;
    refuse_others(path, function, &["name"])?;
    let at = Path::member(&path, "name");
    let name = present(name).ok_or_else(|| InvalidRequest::missing(at))?;
    string(at, name).map(|_| name)
}
