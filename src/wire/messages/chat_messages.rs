//! Translates the messages of a request: blocks to parts, tool calls and tool messages.

use crate::wire::request::{
    InvalidRequest, Path, boolean, decode_string, each_element, is_empty, object, pick, present, string,
};
use crate::wire::translation::{Array, EMPTY, JoinedText, Object, ReasoningMember, inside, quoted_json, refuse_others};

const CONTENT_TYPE: &str = "one of a string or array of objects";

/// Appends a system message, if there is a system prompt. Its texts are joined by line ends: many chat templates take a
/// string only.
pub(super) fn push_system(messages: &mut Array, name: &str, system: Option<&str>) -> Result<(), InvalidRequest> {
    let Some(system) = system else { return Ok(()) };
    let text = joined_texts(name, system)?;
    messages.push(&Object::new().raw("role", "\"system\"").raw("content", &text).finish());
    Ok(())
}

/// The texts of a content that may have nothing else, as one JSON string.
fn joined_texts(path: impl std::fmt::Display + std::fmt::Debug, content: &str) -> Result<String, InvalidRequest> {
    if content.starts_with('"') {
        return Ok(content.to_owned());
    }
    let mut joined = JoinedText::default();
    each_element(&path, CONTENT_TYPE, content, |at, block| {
        let path = Path::element(&path, at);
        match block_type(path, block)?.as_str() {
            "text" => joined.push_line(text_block(path, block)?),
            _ => return Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
        }
        Ok(())
    })?;
    Ok(joined.to_json())
}

/// Appends the messages of a request.
pub(super) fn push_messages(messages: &mut Array, list: &str) -> Result<(), InvalidRequest> {
    each_element("messages", "an array of objects", list, |at, message| {
        let path = Path::element(&"messages", at);
        let [role, content] = pick(path, message, &["role", "content"])?;
        refuse_others(path, message, &["role", "content"])?;
        let at_role = Path::member(&path, "role");
        let role = present(role).ok_or_else(|| InvalidRequest::missing(at_role))?;
        let at_content = Path::member(&path, "content");
        let content = present(content).ok_or_else(|| InvalidRequest::missing(at_content))?;
        match &*string(at_role, role)? {
            "system" => {
                let text = joined_texts(at_content, content)?;
                messages.push(&Object::new().raw("role", role).raw("content", &text).finish());
            }
            "user" | "assistant" if content.starts_with('"') => {
                messages.push(&Object::new().raw("role", role).raw("content", content).finish());
            }
            "user" => push_user(messages, at_content, content)?,
            "assistant" => push_assistant(messages, at_content, content)?,
            other => return Err(InvalidRequest::value(at_role, other, &["user", "assistant", "system"])),
        }
        Ok(())
    })
    .map(drop)
}

/// Appends the tool messages of the results in a user's message, then the rest of it as a user message.
fn push_user(messages: &mut Array, path: Path<'_>, content: &str) -> Result<(), InvalidRequest> {
    let (mut parts, mut images) = (Vec::new(), Vec::new());
    let mut only_text = None;
    let count = each_element(path, CONTENT_TYPE, content, |at, block| {
        let path = Path::element(&path, at);
        match block_type(path, block)?.as_str() {
            "text" => {
                let text = text_block(path, block)?;
                only_text = Some(text);
                parts.push(text_part(text));
            }
            "image" => parts.push(image_part(path, block)?),
            "document" => parts.push(document_part(path, block)?),
            "tool_result" => messages.push(&tool_message(path, block, &mut images)?),
            _ => return Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
        }
        Ok(())
    })?;
    if count == 0 {
        return Err(InvalidRequest::empty_array(path));
    }
    let content = match (only_text, parts.len() + images.len()) {
        (_, 0) => return Ok(()),
        (Some(text), 1) => text.to_owned(),
        _ => {
            let mut all = Array::default();
            images.iter().chain(&parts).for_each(|part| all.push(part));
            all.finish()
        }
    };
    messages.push(&Object::new().raw("role", "\"user\"").raw("content", &content).finish());
    Ok(())
}

/// Appends an assistant's message: its texts, its tool calls, and the thinking that the upstream generated.
fn push_assistant(messages: &mut Array, path: Path<'_>, content: &str) -> Result<(), InvalidRequest> {
    let (mut text, mut has_text) = (JoinedText::default(), false);
    let mut calls = Array::default();
    let mut reasoning: Option<(ReasoningMember, JoinedText)> = None;
    each_element(path, CONTENT_TYPE, content, |at, block| {
        let path = Path::element(&path, at);
        match block_type(path, block)?.as_str() {
            "text" => {
                has_text = true;
                text.push(text_block(path, block)?);
            }
            "tool_use" => calls.push(&tool_call(path, block)?),
            "thinking" => {
                let [thinking, signature] = pick(path, block, &["thinking", "signature"])?;
                if let Some(member) = signature.and_then(ReasoningMember::of_signature) {
                    let (_, joined) = reasoning.get_or_insert_with(|| (member, JoinedText::default()));
                    joined.push(thinking.unwrap_or(EMPTY));
                }
            }
            "redacted_thinking" => {}
            _ => return Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
        }
        Ok(())
    })?;
    let mut message = Object::new();
    message.raw("role", "\"assistant\"");
    if has_text || calls.is_empty() {
        message.raw("content", &text.to_json());
    } else {
        message.raw("content", "null");
    }
    if let Some((member, text)) = reasoning {
        message.raw(member.name(), &text.to_json());
    }
    if !calls.is_empty() {
        message.raw("tool_calls", &calls.finish());
    }
    messages.push(&message.finish());
    Ok(())
}

fn block_type(path: Path<'_>, block: &str) -> Result<String, InvalidRequest> {
    let [kind] = pick(path, block, &["type"])?;
    let at = Path::member(&path, "type");
    string(at, present(kind).ok_or_else(|| InvalidRequest::missing(at))?).map(std::borrow::Cow::into_owned)
}

/// The text of a text block, as JSON.
fn text_block<'a>(path: Path<'_>, block: &'a str) -> Result<&'a str, InvalidRequest> {
    let [text, citations] = pick(path, block, &["text", "citations"])?;
    refuse_others(path, block, &["type", "text", "cache_control", "citations"])?;
    if present(citations).is_some_and(|list| !is_empty(list)) {
        return Err(InvalidRequest::untranslatable(Path::member(&path, "citations")));
    }
    required_string(path, "text", text)
}

/// A member that must be a string, as JSON.
fn required_string<'a>(path: Path<'_>, name: &str, value: Option<&'a str>) -> Result<&'a str, InvalidRequest> {
    let at = Path::member(&path, name);
    let value = present(value).ok_or_else(|| InvalidRequest::missing(at))?;
    string(at, value).map(|_| value)
}

fn text_part(text: &str) -> String {
    Object::new().raw("type", "\"text\"").raw("text", text).finish()
}

/// The part for an image: a data URL, or the image's own.
fn image_part(path: Path<'_>, block: &str) -> Result<String, InvalidRequest> {
    let [source] = pick(path, block, &["source"])?;
    refuse_others(path, block, &["type", "source", "cache_control"])?;
    let at = Path::member(&path, "source");
    let source = present(source).ok_or_else(|| InvalidRequest::missing(at))?;
    let [kind, media_type, data, url] = pick(at, source, &["type", "media_type", "data", "url"])?;
    let url = match kind.and_then(decode_string).as_deref() {
        Some("base64") => data_url(at, media_type, data)?,
        Some("url") => required_string(at, "url", url)?.to_owned(),
        _ => return Err(InvalidRequest::untranslatable(Path::member(&at, "type"))),
    };
    let image = Object::new().raw("url", &url).finish();
    Ok(Object::new().raw("type", "\"image_url\"").raw("image_url", &image).finish())
}

fn data_url(path: Path<'_>, media_type: Option<&str>, data: Option<&str>) -> Result<String, InvalidRequest> {
    let media_type = inside(required_string(path, "media_type", media_type)?);
    let data = inside(required_string(path, "data", data)?);
    Ok(["\"data:", media_type, ";base64,", data, "\""].concat())
}

/// The part for a document: its text, or a file.
fn document_part(path: Path<'_>, block: &str) -> Result<String, InvalidRequest> {
    let [source, title, citations] = pick(path, block, &["source", "title", "citations"])?;
    refuse_others(path, block, &["type", "source", "title", "citations", "cache_control"])?;
    if let Some(citations) = present(citations) {
        let at = Path::member(&path, "citations");
        let [enabled] = pick(at, citations, &["enabled"])?;
        if enabled == Some("true") {
            return Err(InvalidRequest::untranslatable(at));
        }
    }
    let at = Path::member(&path, "source");
    let source = present(source).ok_or_else(|| InvalidRequest::missing(at))?;
    let [kind, media_type, data] = pick(at, source, &["type", "media_type", "data"])?;
    match kind.and_then(decode_string).as_deref() {
        Some("text") => {
            let mut text = JoinedText::default();
            if let Some(title) = present(title) {
                text.push_line(required_string(path, "title", Some(title))?);
            }
            text.push_line(required_string(at, "data", data)?);
            Ok(text_part(&text.to_json()))
        }
        Some("base64") => {
            let name =
                present(title).map_or(Ok("\"document\""), |title| required_string(path, "title", Some(title)))?;
            let data = data_url(at, media_type, data)?;
            let file = Object::new().raw("filename", name).raw("file_data", &data).finish();
            Ok(Object::new().raw("type", "\"file\"").raw("file", &file).finish())
        }
        _ => Err(InvalidRequest::untranslatable(Path::member(&at, "type"))),
    }
}

/// A tool message. Images are added to `images`.
fn tool_message(path: Path<'_>, block: &str, images: &mut Vec<String>) -> Result<String, InvalidRequest> {
    let names = ["tool_use_id", "content", "is_error"];
    let [id, content, is_error] = pick(path, block, &names)?;
    refuse_others(path, block, &[&names[..], &["type", "cache_control"]].concat())?;
    let id = required_string(path, "tool_use_id", id)?;
    let mut text = JoinedText::default();
    let at = Path::member(&path, "content");
    match present(content) {
        Some(content) if content.starts_with('"') => text.push(content),
        Some(content) => drop(each_element(at, CONTENT_TYPE, content, |index, block| {
            let path = Path::element(&at, index);
            match block_type(path, block)?.as_str() {
                "text" => text.push_line(text_block(path, block)?),
                "image" => images.push(image_part(path, block)?),
                _ => return Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
            }
            Ok(())
        })?),
        None => {}
    }
    if let Some(is_error) = present(is_error)
        && boolean(Path::member(&path, "is_error"), is_error)?
    {
        let mut marked = JoinedText::default();
        marked.push_inside("Error: ");
        marked.push_inside(text.as_inside());
        text = marked;
    }
    Ok(Object::new().raw("role", "\"tool\"").raw("tool_call_id", id).raw("content", &text.to_json()).finish())
}

/// A tool call. Its input becomes a string of JSON.
fn tool_call(path: Path<'_>, block: &str) -> Result<String, InvalidRequest> {
    let names = ["id", "name", "input"];
    let [id, name, input] = pick(path, block, &names)?;
    refuse_others(path, block, &[&names[..], &["type", "cache_control", "caller"]].concat())?;
    let (id, name) = (required_string(path, "id", id)?, required_string(path, "name", name)?);
    let input = present(input).ok_or_else(|| InvalidRequest::missing(Path::member(&path, "input")))?;
    object(Path::member(&path, "input"), input)?;
    let function = Object::new().raw("name", name).raw("arguments", &quoted_json(input)).finish();
    Ok(Object::new().raw("id", id).raw("type", "\"function\"").raw("function", &function).finish())
}
