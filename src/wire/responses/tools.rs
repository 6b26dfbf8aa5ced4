//! Translates tools and the choice of them, and gives them the form in which an answer returns them.

use crate::wire::request::{InvalidRequest, Path, each_element, object, pick, present, string};
use crate::wire::translation::{Array, Object, refuse_others};

const MEMBERS: [&str; 5] = ["type", "name", "description", "parameters", "strict"];

/// A function of the client, in JSON.
struct Function<'a> {
    name: &'a str,
    description: Option<&'a str>,
    parameters: Option<&'a str>,
    strict: Option<&'a str>,
}

/// Calls `each` with every tool; all must be functions.
fn each_function(tools: &str, mut each: impl FnMut(Function<'_>)) -> Result<usize, InvalidRequest> {
    each_element("tools", "an array of objects", tools, |at, tool| {
        let path = Path::element(&"tools", at);
        let member = |name| Path::member(&path, name);
        let [kind, name, description, parameters, strict] = pick(path, tool, &MEMBERS)?;
        let kind = present(kind).ok_or_else(|| InvalidRequest::missing(member("type")))?;
        if string(member("type"), kind)? != "function" {
            return Err(InvalidRequest::untranslatable(member("type")));
        }
        refuse_others(path, tool, &MEMBERS)?;
        let name = present(name).ok_or_else(|| InvalidRequest::missing(member("name")))?;
        string(member("name"), name)?;
        let [description, parameters, strict] = [description, parameters, strict].map(present);
        if let Some(parameters) = parameters {
            object(member("parameters"), parameters)?;
        }
        each(Function { name, description, parameters, strict });
        Ok(())
    })
}

/// The tools of the chat request; none where the list is empty.
pub(super) fn translate_tools(tools: &str) -> Result<Option<String>, InvalidRequest> {
    let mut translated = Array::default();
    each_function(tools, |tool| {
        let mut function = Object::new();
        function.raw("name", tool.name).raw_if("description", tool.description);
        function.raw_if("parameters", tool.parameters).raw_if("strict", tool.strict);
        translated.push(&Object::new().raw("type", "\"function\"").raw("function", &function.finish()).finish());
    })?;
    Ok((!translated.is_empty()).then(|| translated.finish()))
}

/// The tools as an answer returns them: SDKs expect every member.
pub(super) fn returned_tools(tools: Option<&str>) -> Result<String, InvalidRequest> {
    let mut returned = Array::default();
    if let Some(tools) = tools {
        each_function(tools, |tool| {
            let mut function = Object::new();
            function.raw("type", "\"function\"").raw("name", tool.name);
            function.raw("description", tool.description.unwrap_or("null"));
            function.raw("parameters", tool.parameters.unwrap_or("null"));
            returned.push(&function.raw("strict", tool.strict.unwrap_or("null")).finish());
        })?;
    }
    Ok(returned.finish())
}

/// Adds `tool_choice`. Without tools the choices that name none are left out: chat allows them with tools only.
pub(super) fn push_tool_choice(chat: &mut Object, choice: &str, has_tools: bool) -> Result<(), InvalidRequest> {
    const NAME: &str = "tool_choice";
    if choice.starts_with('"') {
        let options = ["none", "auto", "required"];
        let text = string(NAME, choice)?;
        if !options.contains(&&*text) {
            return Err(InvalidRequest::value(NAME, &text, &options));
        }
        if has_tools || text == "required" {
            chat.raw(NAME, choice);
        }
        return Ok(());
    }
    let [kind, name, mode, tools] = pick(NAME, choice, &["type", "name", "mode", "tools"])?;
    refuse_others(NAME, choice, &["type", "name", "mode", "tools"])?;
    let kind = present(kind).ok_or_else(|| InvalidRequest::missing("tool_choice.type"))?;
    match &*string("tool_choice.type", kind)? {
        "function" => {
            let name = present(name).ok_or_else(|| InvalidRequest::missing("tool_choice.name"))?;
            string("tool_choice.name", name)?;
            chat.raw(NAME, &named(name));
        }
        "allowed_tools" => {
            let tools = present(tools).ok_or_else(|| InvalidRequest::missing("tool_choice.tools"))?;
            let mode = present(mode).ok_or_else(|| InvalidRequest::missing("tool_choice.mode"))?;
            string("tool_choice.mode", mode)?;
            let mut allowed = Array::default();
            each_element("tool_choice.tools", "an array of objects", tools, |at, tool| {
                let path = Path::element(&"tool_choice.tools", at);
                let [kind, name] = pick(path, tool, &["type", "name"])?;
                refuse_others(path, tool, &["type", "name"])?;
                let at_name = Path::member(&path, "name");
                match (kind, present(name)) {
                    (Some("\"function\""), Some(name)) => string(at_name, name).map(|_| allowed.push(&named(name))),
                    (Some("\"function\""), None) => Err(InvalidRequest::missing(at_name)),
                    _ => Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
                }
            })?;
            let allowed = Object::new().raw("mode", mode).raw("tools", &allowed.finish()).finish();
            chat.raw(NAME, &Object::new().raw("type", kind).raw("allowed_tools", &allowed).finish());
        }
        _ => return Err(InvalidRequest::untranslatable("tool_choice.type")),
    }
    Ok(())
}

/// A function by its name, as chat names it.
fn named(name: &str) -> String {
    let function = Object::new().raw("name", name).finish();
    Object::new().raw("type", "\"function\"").raw("function", &function).finish()
}
