//! Checks the shape of the messages, and estimates the prompt's tokens.

use crate::wire::request::{
    InvalidRequest, Media, NamedMembers, Path, PromptSize, decode_string, each_element, pick, present,
};

const NAME: &str = "messages";

/// An estimate of the tokens of the system prompt, the messages (`list`), the tools and the answer's schema.
pub(super) fn estimate(list: &str, members: &NamedMembers<'_>) -> Result<u64, InvalidRequest> {
    let mut size = PromptSize::default();
    let count = each_element(NAME, "an array of objects", list, |at, message| {
        let path = Path::element(&NAME, at);
        let [role, content] = pick(path, message, &["role", "content"])?;
        if present(role).is_none() {
            return Err(InvalidRequest::missing(Path::member(&path, "role")));
        }
        size.add_message();
        add_content(&mut size, &Path::member(&path, "content"), content, 1)
    })?;
    if count == 0 {
        return Err(InvalidRequest::empty_array(NAME));
    }
    if let Some(system) = members.get("system") {
        size.add_message();
        add_content(&mut size, &Path::member(&"system", "content"), Some(system), 0)?;
    }
    size.add_values(["tools", "output_config"].map(|name| members.get(name)));
    Ok(size.tokens())
}

/// Adds a content; `levels` is how deep contents in its blocks are read, deeper ones count by their JSON.
fn add_content(
    size: &mut PromptSize,
    path: &Path<'_>,
    content: Option<&str>,
    levels: u8,
) -> Result<(), InvalidRequest> {
    let Some(content) = present(content) else { return Ok(()) };
    if !content.starts_with('[') {
        size.add_value(content);
        return Ok(());
    }
    each_element(path, "an array of objects", content, |at, block| {
        let path = Path::element(path, at);
        let [kind, text, nested] = pick(path, block, &["type", "text", "content"])?;
        let media = kind.and_then(decode_string).and_then(|kind| Media::of_type(&kind));
        match (media, text, nested) {
            (Some(media), ..) => size.add_media(media),
            (None, Some(text), _) => size.add_value(text),
            (None, None, Some(nested)) if levels > 0 => {
                return add_content(size, &Path::member(&path, "content"), Some(nested), levels - 1);
            }
            _ => size.add_value(block),
        }
        Ok(())
    })
    .map(drop)
}
