//! Checks the shape of the input, and estimates the prompt's tokens.

use crate::wire::request::{InvalidRequest, Media, NamedMembers, Path, PromptSize, decode_string, each_element, pick};

const TYPE: &str = "one of a string or array of objects";

/// An estimate of the tokens of the instructions, the input, the tools and the answer's schema.
pub(super) fn estimate(members: &NamedMembers<'_>) -> Result<u64, InvalidRequest> {
    let mut size = PromptSize::default();
    let others = ["conversation", "previous_response_id", "prompt"];
    match members.get("input") {
        Some(input) if input.starts_with('[') => drop(each_element("input", TYPE, input, |at, item| {
            let path = Path::element(&"input", at);
            let [content, output] = pick(path, item, &["content", "output"])?;
            size.add_message();
            match content.or(output) {
                Some(parts) if parts.starts_with('[') => add_parts(&mut size, path, parts),
                Some(text) if content.is_some() => {
                    size.add_value(text);
                    Ok(())
                }
                _ => {
                    size.add_value(item);
                    Ok(())
                }
            }
        })?),
        Some(input) if input.starts_with('"') => {
            size.add_message();
            size.add_value(input);
        }
        Some(input) => return Err(InvalidRequest::wrong_type("input", TYPE, input)),
        // A prompt may be stored elsewhere.
        None if others.iter().any(|name| members.get(name).is_some()) => {}
        None => return Err(InvalidRequest::missing("input")),
    }
    size.add_values(["instructions", "tools", "text"].map(|name| members.get(name)));
    Ok(size.tokens())
}

fn add_parts(size: &mut PromptSize, path: Path<'_>, parts: &str) -> Result<(), InvalidRequest> {
    each_element(path, "an array of objects", parts, |at, part| {
        let [kind, text] = pick(Path::element(&path, at), part, &["type", "text"])?;
        match (kind.and_then(decode_string).and_then(|kind| Media::of_type(&kind)), text) {
            (Some(media), _) => size.add_media(media),
            (None, Some(text)) => size.add_value(text),
            (None, None) => size.add_value(part),
        }
        Ok(())
    })
    .map(drop)
}
