//! Translates tools and the choice of them, and gives them the form in which an answer returns them.

use crate::wire::request::{InvalidRequest, Path, decode_string, each_element, object, pick, present, string};
use crate::wire::translation::{Array, JoinedText, Object, inside, refuse_others};

const MEMBERS: [&str; 5] = ["type", "name", "description", "parameters", "strict"];

/// A function of the client, in JSON.
struct Function<'a> {
    name: &'a str,
    description: Option<&'a str>,
    parameters: Option<&'a str>,
    strict: Option<&'a str>,
}

/// A function of a namespace: the name that it has in chat, and its own two. Insides of JSON strings.
#[derive(Clone, Debug)]
pub(super) struct NamespacedName {
    pub(super) chat: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The name in chat of a function of a namespace, as JSON. `namespace` and `name` are JSON strings.
pub(super) fn chat_name(namespace: &str, name: &str) -> String {
    ["\"", inside(namespace), "__", inside(name), "\""].concat()
}

/// Calls `each` with every tool's JSON, its namespace if it is one, and its functions. Other tools are refused.
fn each_tool(
    tools: &str,
    mut each: impl FnMut(&str, Option<&Function<'_>>, &[Function<'_>]) -> Result<(), InvalidRequest>,
) -> Result<(), InvalidRequest> {
    each_element("tools", "an array of objects", tools, |at, tool| {
        let path = Path::element(&"tools", at);
        let member = |name| Path::member(&path, name);
        let [kind, functions] = pick(path, tool, &["type", "tools"])?;
        let kind = present(kind).ok_or_else(|| InvalidRequest::missing(member("type")))?;
        match &*string(member("type"), kind)? {
            "function" => each(tool, None, &[read_function(path, tool, &MEMBERS)?]),
            "namespace" => {
                let namespace = read_function(path, tool, &["type", "name", "description", "tools"])?;
                let functions = present(functions).ok_or_else(|| InvalidRequest::missing(member("tools")))?;
                let (list, mut found) = (member("tools"), Vec::new());
                each_element(list, "an array of objects", functions, |at, function| {
                    let path = Path::element(&list, at);
                    let [kind] = pick(path, function, &["type"])?;
                    if kind.and_then(decode_string).as_deref() != Some("function") {
                        return Err(InvalidRequest::untranslatable(Path::member(&path, "type")));
                    }
                    found.push(read_function(path, function, &MEMBERS)?);
                    Ok(())
                })?;
                each(tool, Some(&namespace), &found)
            }
            _ => Err(InvalidRequest::untranslatable(member("type"))),
        }
    })
    .map(drop)
}

/// The members of a function, or of a namespace, which may have those of `allowed` only.
fn read_function<'a>(path: Path<'_>, tool: &'a str, allowed: &[&str]) -> Result<Function<'a>, InvalidRequest> {
    let [name, description, parameters, strict] = pick(path, tool, &["name", "description", "parameters", "strict"])?;
    refuse_others(path, tool, allowed)?;
    let name = present(name).ok_or_else(|| InvalidRequest::missing(Path::member(&path, "name")))?;
    string(Path::member(&path, "name"), name)?;
    let [description, parameters, strict] = [description, parameters, strict].map(present);
    if let Some(description) = description {
        string(Path::member(&path, "description"), description)?;
    }
    if let Some(parameters) = parameters {
        object(Path::member(&path, "parameters"), parameters)?;
    }
    Ok(Function { name, description, parameters, strict })
}

/// The tools of the chat request; none where the list is empty. A function of a namespace has the description of that
/// before its own.
pub(super) fn translate_tools(tools: &str) -> Result<Option<String>, InvalidRequest> {
    let (mut translated, mut names, mut has_namespaces) = (Array::default(), Vec::new(), false);
    each_tool(tools, |_, namespace, functions| {
        has_namespaces |= namespace.is_some();
        for tool in functions {
            let name = namespace.map_or_else(|| tool.name.to_owned(), |space| chat_name(space.name, tool.name));
            let mut texts = JoinedText::default();
            let texts_of = namespace.and_then(|space| space.description).into_iter().chain(tool.description);
            texts_of.for_each(|text| texts.push_line(text));
            let mut function = Object::new();
            function.raw("name", &name).raw_if("description", (!texts.is_empty()).then(|| texts.to_json()).as_deref());
            function.raw_if("parameters", tool.parameters).raw_if("strict", tool.strict);
            translated.push(&Object::new().raw("type", "\"function\"").raw("function", &function.finish()).finish());
            names.push(name);
        }
        Ok(())
    })?;
    names.sort_unstable();
    if has_namespaces && names.windows(2).any(|pair| pair[0] == pair[1]) {
        // Which of them the model calls could not be told.
        return Err(InvalidRequest::untranslatable("tools"));
    }
    Ok((!translated.is_empty()).then(|| translated.finish()))
}

/// The tools as an answer returns them: SDKs expect every member of a function. And the names of the functions of
/// namespaces.
pub(super) fn returned_tools(tools: Option<&str>) -> Result<(String, Vec<NamespacedName>), InvalidRequest> {
    let (mut returned, mut names) = (Array::default(), Vec::new());
    let Some(tools) = tools else { return Ok((returned.finish(), names)) };
    each_tool(tools, |json, namespace, functions| {
        if let Some(namespace) = namespace {
            returned.push(json);
            names.extend(functions.iter().map(|tool| NamespacedName {
                chat: inside(&chat_name(namespace.name, tool.name)).to_owned(),
                namespace: inside(namespace.name).to_owned(),
                name: inside(tool.name).to_owned(),
            }));
            return Ok(());
        }
        for tool in functions {
            let mut function = Object::new();
            function.raw("type", "\"function\"").raw("name", tool.name);
            function.raw("description", tool.description.unwrap_or("null"));
            function.raw("parameters", tool.parameters.unwrap_or("null"));
            returned.push(&function.raw("strict", tool.strict.unwrap_or("null")).finish());
        }
        Ok(())
    })?;
    Ok((returned.finish(), names))
}

/// Whether the client runs a tool of this type: a function, or a namespace that has such tools only.
pub(super) fn is_of_client(kind: Option<&str>, tool: &str) -> bool {
    match kind {
        Some("function" | "custom") => true,
        Some("namespace") => {
            let tools = pick("tools", tool, &["tools"]).ok().and_then(|[tools]| tools);
            let is_known = refuse_others("tools", tool, &["type", "name", "description", "tools"]).is_ok();
            let all = |tools| {
                each_element("tools", "an array of objects", tools, |_, tool| {
                    let [kind] = pick("tools", tool, &["type"])?;
                    match kind.and_then(decode_string).as_deref() {
                        Some("function" | "custom") => Ok(()),
                        _ => Err(InvalidRequest::untranslatable("tools")),
                    }
                })
            };
            is_known && tools.is_some_and(|tools| all(tools).is_ok())
        }
        _ => false,
    }
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
