//! Checks and measures `messages`: roles, contents and content parts.

use super::invalid_request::InvalidRequest;
use super::path::Path;
use super::prompt_size::{Media, PromptSize};
use super::rules::Checks;
use super::values::{decode_string, each_element, object, pick, present, string};

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];
const CONTENT_TYPE: &str = "one of a string or array of objects";
const NAME: &str = "messages";

/// The members of a message that are read. Those after the first four only add to the prompt's size.
const MEMBERS: [&str; 9] = [
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning_content",
    "reasoning",
];

/// The members of a content part that are read: type and text, and those that determine the media of a part without a
/// type.
const PART_MEMBERS: [&str; 12] = [
    "type",
    "text",
    "refusal",
    "image_url",
    "image",
    "input_audio",
    "audio_url",
    "audio",
    "file",
    "document",
    "video_url",
    "video",
];

/// Checks and measures the value of `messages`. With [`Checks::Routing`] a message may have any members.
pub(super) fn check(value: &str, checks: Checks) -> Result<PromptSize, InvalidRequest> {
    let mut prompt = PromptSize::default();
    let count = each_element(NAME, "an array of objects", value, |at, message| {
        check_message(&Path::element(&NAME, at), message, checks, &mut prompt)
    })?;
    if count == 0 { Err(InvalidRequest::empty_array(NAME)) } else { Ok(prompt) }
}

fn check_message(
    path: &Path<'_>,
    message: &str,
    checks: Checks,
    prompt: &mut PromptSize,
) -> Result<(), InvalidRequest> {
    let found = pick(path, message, &MEMBERS)?;
    let [_role, content, name, tool_calls, ref others @ ..] = found;
    if checks == Checks::OpenAi {
        check_members(path, &found)?;
    }
    prompt.add_message();
    prompt.add_values([name, tool_calls]);
    prompt.add_values(others.iter().copied());
    let Some(content) = present(content) else { return Ok(()) };
    let at = Path::member(path, "content");
    if !content.starts_with('[') {
        prompt.add_value(content);
        return Ok(());
    }
    each_element(at, CONTENT_TYPE, content, |index, part| check_part(&Path::element(&at, index), part, checks, prompt))
        .map(drop)
}

/// Enforces OpenAI's types of a message's members.
fn check_members(path: &Path<'_>, found: &[Option<&str>; MEMBERS.len()]) -> Result<(), InvalidRequest> {
    let [role, content, name, tool_calls, tool_call_id, ..] = *found;
    let at = |name| Path::member(path, name);
    let role = present(role).ok_or_else(|| InvalidRequest::missing(at("role")))?;
    let role = string(at("role"), role)?;
    if !ROLES.contains(&&*role) {
        return Err(InvalidRequest::value(at("role"), &role, &ROLES));
    }
    match (&*role, content) {
        // An assistant that called tools has no content, and a function may return none.
        ("assistant" | "function", None | Some("null")) => {}
        (_, None) => return Err(InvalidRequest::missing(at("content"))),
        (_, Some(content)) if content.starts_with(['"', '[']) => {}
        (_, Some(content)) => return Err(InvalidRequest::wrong_type(at("content"), CONTENT_TYPE, content)),
    }
    if role == "tool" {
        let id = present(tool_call_id).ok_or_else(|| InvalidRequest::missing(at("tool_call_id")))?;
        string(at("tool_call_id"), id)?;
    }
    if let Some(name) = present(name) {
        string(at("name"), name)?;
    }
    let Some(calls) = present(tool_calls) else { return Ok(()) };
    let at = at("tool_calls");
    each_element(at, "an array of objects", calls, |index, call| object(Path::element(&at, index), call)).map(drop)
}

fn check_part(path: &Path<'_>, part: &str, checks: Checks, prompt: &mut PromptSize) -> Result<(), InvalidRequest> {
    if checks == Checks::Routing && !part.starts_with('{') {
        prompt.add_value(part);
        return Ok(());
    }
    let [kind, text, refusal, media @ ..] = pick(path, part, &PART_MEMBERS)?;
    if checks == Checks::OpenAi {
        let at = Path::member(path, "type");
        string(at, present(kind).ok_or_else(|| InvalidRequest::missing(at))?)?;
    }
    let by_type = kind.and_then(decode_string).and_then(|kind| Media::of_type(&kind));
    let by_member = || {
        media.iter().zip(&PART_MEMBERS[3..]).find_map(|(value, name)| Media::of_type(present(*value).and(Some(name))?))
    };
    match by_type.or_else(by_member) {
        Some(media) => prompt.add_media(media),
        None if text.is_some() || refusal.is_some() => prompt.add_values([text, refusal]),
        None => prompt.add_value(part),
    }
    Ok(())
}
