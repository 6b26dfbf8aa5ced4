//! Translates the input of a request to messages of chat.

use super::tools::chat_name;
use crate::wire::request::{InvalidRequest, Path, decode_string, each_element, is_empty, pick, present, string};
use crate::wire::translation::{Array, JoinedText, Object, refuse_others};

const CONTENT_TYPE: &str = "one of a string or array of objects";

/// Appends the messages of an input.
pub(super) fn push_input(messages: &mut Array, input: &str) -> Result<(), InvalidRequest> {
    if input.starts_with('"') {
        messages.push(&Object::new().raw("role", "\"user\"").raw("content", input).finish());
        return Ok(());
    }
    let mut items = Items { messages, assistant: Assistant::default(), images: Array::default() };
    let count = each_element("input", CONTENT_TYPE, input, |at, item| items.item(Path::element(&"input", at), item))?;
    if count == 0 {
        return Err(InvalidRequest::empty_array("input"));
    }
    items.flush_assistant();
    items.flush_images();
    Ok(())
}

/// The items read so far.
struct Items<'m> {
    messages: &'m mut Array,
    assistant: Assistant,
    /// The images of functions' outputs, which follow all outputs.
    images: Array,
}

/// Items that are one message of the assistant in chat: reasoning, a message, calls of functions.
#[derive(Default)]
struct Assistant {
    reasoning: JoinedText,
    content: Option<String>,
    calls: Array,
}

impl Items<'_> {
    fn item(&mut self, path: Path<'_>, item: &str) -> Result<(), InvalidRequest> {
        let [kind] = pick(path, item, &["type"])?;
        let at = Path::member(&path, "type");
        let kind = present(kind).map_or(Ok("message".into()), |kind| string(at, kind))?;
        if kind != "function_call_output" {
            self.flush_images();
        }
        match &*kind {
            "message" => self.message(path, item),
            "reasoning" => self.reasoning(path, item),
            "function_call" => self.function_call(path, item),
            "function_call_output" => self.function_call_output(path, item),
            _ => Err(InvalidRequest::untranslatable(at)),
        }
    }

    fn message(&mut self, path: Path<'_>, item: &str) -> Result<(), InvalidRequest> {
        let [role, content] = pick(path, item, &["role", "content"])?;
        refuse_others(path, item, &["type", "role", "content", "id", "status", "phase"])?;
        let at_role = Path::member(&path, "role");
        let role = string(at_role, present(role).ok_or_else(|| InvalidRequest::missing(at_role))?)?;
        let at = Path::member(&path, "content");
        let content = present(content).ok_or_else(|| InvalidRequest::missing(at))?;
        match &*role {
            "assistant" => {
                let text = assistant_text(at, content)?;
                if self.assistant.content.is_some() || !self.assistant.calls.is_empty() {
                    self.flush_assistant();
                }
                self.assistant.content = Some(text);
            }
            "user" => {
                self.flush_assistant();
                let content = user_content(at, content)?;
                self.messages.push(&Object::new().raw("role", "\"user\"").raw("content", &content).finish());
            }
            "system" | "developer" => {
                self.flush_assistant();
                let text = joined_texts(at, content, &mut None)?;
                self.messages.push(&Object::new().raw("role", "\"system\"").raw("content", &text).finish());
            }
            other => {
                return Err(InvalidRequest::value(at_role, other, &["user", "assistant", "system", "developer"]));
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, path: Path<'_>, item: &str) -> Result<(), InvalidRequest> {
        let [content] = pick(path, item, &["content"])?;
        refuse_others(path, item, &["type", "id", "status", "summary", "content", "encrypted_content"])?;
        if self.assistant.content.is_some() || !self.assistant.calls.is_empty() {
            self.flush_assistant();
        }
        let Some(content) = present(content) else { return Ok(()) };
        let at = Path::member(&path, "content");
        each_element(at, "an array of objects", content, |index, part| {
            let path = Path::element(&at, index);
            let text = text_part(path, part, &["reasoning_text"])?;
            self.assistant.reasoning.push(text.ok_or_else(|| InvalidRequest::untranslatable(path))?);
            Ok(())
        })
        .map(drop)
    }

    fn function_call(&mut self, path: Path<'_>, item: &str) -> Result<(), InvalidRequest> {
        let names = ["call_id", "name", "arguments"];
        let [id, name, arguments] = pick(path, item, &names)?;
        let [namespace] = pick(path, item, &["namespace"])?;
        refuse_others(path, item, &[&names[..], &["namespace", "type", "id", "status"]].concat())?;
        let [id, name, arguments] = [("call_id", id), ("name", name), ("arguments", arguments)]
            .map(|(member, value)| required_string(path, member, value));
        let name = match present(namespace) {
            Some(namespace) => chat_name(required_string(path, "namespace", Some(namespace))?, name?),
            None => name?.to_owned(),
        };
        let function = Object::new().raw("name", &name).raw("arguments", arguments?).finish();
        let call = Object::new().raw("id", id?).raw("type", "\"function\"").raw("function", &function).finish();
        self.assistant.calls.push(&call);
        Ok(())
    }

    fn function_call_output(&mut self, path: Path<'_>, item: &str) -> Result<(), InvalidRequest> {
        let [id, output] = pick(path, item, &["call_id", "output"])?;
        // The call has its name already.
        let others = ["type", "call_id", "output", "id", "status", "name", "namespace"];
        refuse_others(path, item, &others)?;
        let id = required_string(path, "call_id", id)?;
        let at = Path::member(&path, "output");
        let output = present(output).ok_or_else(|| InvalidRequest::missing(at))?;
        self.flush_assistant();
        let text = joined_texts(at, output, &mut Some(&mut self.images))?;
        let message = Object::new().raw("role", "\"tool\"").raw("tool_call_id", id).raw("content", &text).finish();
        self.messages.push(&message);
        Ok(())
    }

    fn flush_assistant(&mut self) {
        let Assistant { reasoning, content, calls } = std::mem::take(&mut self.assistant);
        if content.is_none() && calls.is_empty() {
            // Reasoning without an answer: there is no message that it belongs to.
            return;
        }
        let mut message = Object::new();
        message.raw("role", "\"assistant\"").raw("content", content.as_deref().unwrap_or("null"));
        if !reasoning.is_empty() {
            message.raw("reasoning_content", &reasoning.to_json());
        }
        if !calls.is_empty() {
            message.raw("tool_calls", &calls.finish());
        }
        self.messages.push(&message.finish());
    }

    fn flush_images(&mut self) {
        let images = std::mem::take(&mut self.images);
        if !images.is_empty() {
            self.messages.push(&Object::new().raw("role", "\"user\"").raw("content", &images.finish()).finish());
        }
    }
}

/// A member that must be a string, as JSON.
fn required_string<'a>(path: Path<'_>, name: &str, value: Option<&'a str>) -> Result<&'a str, InvalidRequest> {
    let at = Path::member(&path, name);
    let value = present(value).ok_or_else(|| InvalidRequest::missing(at))?;
    string(at, value).map(|_| value)
}

/// The text of a part whose type is one of `types`, as JSON; none for a part of another type.
fn text_part<'a>(path: Path<'_>, part: &'a str, types: &[&str]) -> Result<Option<&'a str>, InvalidRequest> {
    let [kind, text, annotations] = pick(path, part, &["type", "text", "annotations"])?;
    let at = Path::member(&path, "type");
    let kind = string(at, present(kind).ok_or_else(|| InvalidRequest::missing(at))?)?;
    if !types.contains(&&*kind) {
        return Ok(None);
    }
    refuse_others(path, part, &["type", "text", "annotations", "logprobs", "prompt_cache_breakpoint"])?;
    if present(annotations).is_some_and(|list| !is_empty(list)) {
        return Err(InvalidRequest::untranslatable(Path::member(&path, "annotations")));
    }
    required_string(path, "text", text).map(Some)
}

/// The texts of a content as one JSON string. Images are added to `images`, if they are allowed.
fn joined_texts(path: Path<'_>, content: &str, images: &mut Option<&mut Array>) -> Result<String, InvalidRequest> {
    if content.starts_with('"') {
        return Ok(content.to_owned());
    }
    let mut joined = JoinedText::default();
    each_element(path, CONTENT_TYPE, content, |at, part| {
        let path = Path::element(&path, at);
        match (text_part(path, part, &["input_text", "output_text"])?, &mut *images) {
            (Some(text), _) => joined.push_line(text),
            (None, Some(images)) => images.push(&media_part(path, part)?),
            (None, None) => return Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
        }
        Ok(())
    })?;
    Ok(joined.to_json())
}

/// The text of an assistant's message, its refusals included: a string in chat.
fn assistant_text(path: Path<'_>, content: &str) -> Result<String, InvalidRequest> {
    if content.starts_with('"') {
        return Ok(content.to_owned());
    }
    let mut joined = JoinedText::default();
    each_element(path, CONTENT_TYPE, content, |at, part| {
        let path = Path::element(&path, at);
        if let Some(text) = text_part(path, part, &["output_text", "input_text"])? {
            joined.push(text);
            return Ok(());
        }
        let [kind, refusal] = pick(path, part, &["type", "refusal"])?;
        if kind.and_then(decode_string).as_deref() != Some("refusal") {
            return Err(InvalidRequest::untranslatable(Path::member(&path, "type")));
        }
        refuse_others(path, part, &["type", "refusal"])?;
        joined.push(required_string(path, "refusal", refusal)?);
        Ok(())
    })?;
    Ok(joined.to_json())
}

/// The content of a user's message: a string for one text, else parts.
fn user_content(path: Path<'_>, content: &str) -> Result<String, InvalidRequest> {
    if content.starts_with('"') {
        return Ok(content.to_owned());
    }
    let (mut parts, mut only_text) = (Array::default(), None);
    let count = each_element(path, CONTENT_TYPE, content, |at, part| {
        let path = Path::element(&path, at);
        match text_part(path, part, &["input_text", "output_text"])? {
            Some(text) => {
                only_text = Some(text);
                parts.push(&Object::new().raw("type", "\"text\"").raw("text", text).finish());
            }
            None => parts.push(&media_part(path, part)?),
        }
        Ok(())
    })?;
    match (count, only_text) {
        (0, _) => Err(InvalidRequest::empty_array(path)),
        (1, Some(text)) => Ok(text.to_owned()),
        _ => Ok(parts.finish()),
    }
}

/// The part for an image or a file.
fn media_part(path: Path<'_>, part: &str) -> Result<String, InvalidRequest> {
    let names = ["type", "image_url", "detail", "file_id", "file_data", "filename"];
    let [kind, url, detail, file_id, data, filename] = pick(path, part, &names)?;
    match kind.and_then(decode_string).as_deref() {
        Some("input_image") => {
            refuse_others(path, part, &["type", "image_url", "detail", "prompt_cache_breakpoint"])?;
            let url = required_string(path, "image_url", url)?;
            let image = Object::new().raw("url", url).raw_if("detail", present(detail)).finish();
            Ok(Object::new().raw("type", "\"image_url\"").raw("image_url", &image).finish())
        }
        Some("input_file") => {
            refuse_others(path, part, &["type", "file_id", "file_data", "filename", "prompt_cache_breakpoint"])?;
            let [filename, data, file_id] = [filename, data, file_id].map(present);
            let mut file = Object::new();
            file.raw_if("filename", filename).raw_if("file_data", data).raw_if("file_id", file_id);
            Ok(Object::new().raw("type", "\"file\"").raw("file", &file.finish()).finish())
        }
        _ => Err(InvalidRequest::untranslatable(Path::member(&path, "type"))),
    }
}
