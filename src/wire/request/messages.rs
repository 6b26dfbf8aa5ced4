//! The shape of `messages`: roles and contents. What they say is the model's business.

use super::Checks;
use super::invalid::Invalid;
use super::prompt::{Media, Prompt};
use super::shape::{Path, each_element, object, pick, present, string, text};

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];
const TEXT: &str = "one of a string or array of objects";
const LIST: &str = "messages";

/// The members of a message that are looked at. All but the first four are counted only.
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

/// The members of a content part that are looked at: its type and its text, and those that say what it is where the type
/// does not.
const PART: [&str; 12] = [
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

/// Checks and measures the value of `messages`. Without OpenAI's ranges, what a message holds is left to the upstream.
pub(super) fn check(value: &str, checks: Checks) -> Result<Prompt, Invalid> {
    let mut prompt = Prompt::default();
    let count = each_element(LIST, "an array of objects", value, |at, message| {
        check_one(&Path::element(&LIST, at), message, checks, &mut prompt)
    })?;
    if count == 0 { Err(Invalid::empty_array(LIST)) } else { Ok(prompt) }
}

fn check_one(path: &Path<'_>, message: &str, checks: Checks, prompt: &mut Prompt) -> Result<(), Invalid> {
    let found = pick(path, message, &MEMBERS)?;
    let [role, content, name, tool_calls, ref counted @ ..] = found;
    if checks == Checks::OpenAi {
        check_members(path, &found)?;
    }
    prompt.message();
    prompt.values([name, tool_calls]);
    prompt.values(counted.iter().copied());
    let Some(content) = present(content) else { return Ok(()) };
    let at = Path::member(path, "content");
    // Only lists are looked into; the role is nothing that would change that.
    let _ = role;
    if !content.starts_with('[') {
        prompt.value(content);
        return Ok(());
    }
    each_element(at, TEXT, content, |index, part| check_part(&Path::element(&at, index), part, checks, prompt))
        .map(drop)
}

/// What OpenAI asks of a message.
fn check_members(path: &Path<'_>, found: &[Option<&str>; MEMBERS.len()]) -> Result<(), Invalid> {
    let [role, content, name, tool_calls, tool_call_id, ..] = *found;
    let at = |name| Path::member(path, name);
    let role = present(role).ok_or_else(|| Invalid::missing(at("role")))?;
    let role = string(at("role"), role)?;
    if !ROLES.contains(&&*role) {
        return Err(Invalid::value(at("role"), &role, &ROLES));
    }
    match (&*role, content) {
        // An assistant that called tools has said nothing; a function may return nothing.
        ("assistant" | "function", None | Some("null")) => {}
        (_, None) => return Err(Invalid::missing(at("content"))),
        (_, Some(content)) if content.starts_with(['"', '[']) => {}
        (_, Some(content)) => return Err(Invalid::wrong_type(at("content"), TEXT, content)),
    }
    if role == "tool" {
        let id = present(tool_call_id).ok_or_else(|| Invalid::missing(at("tool_call_id")))?;
        string(at("tool_call_id"), id)?;
    }
    if let Some(name) = present(name) {
        string(at("name"), name)?;
    }
    let Some(calls) = present(tool_calls) else { return Ok(()) };
    let at = at("tool_calls");
    each_element(at, "an array of objects", calls, |index, call| object(Path::element(&at, index), call)).map(drop)
}

fn check_part(path: &Path<'_>, part: &str, checks: Checks, prompt: &mut Prompt) -> Result<(), Invalid> {
    if checks == Checks::Routing && !part.starts_with('{') {
        prompt.value(part);
        return Ok(());
    }
    let [kind, text_, refusal, media @ ..] = pick(path, part, &PART)?;
    if checks == Checks::OpenAi {
        let at = Path::member(path, "type");
        string(at, present(kind).ok_or_else(|| Invalid::missing(at))?)?;
    }
    let by_type = kind.and_then(text).and_then(|kind| Media::of_type(&kind));
    // The first three are no media.
    let by_member =
        || media.iter().zip(&PART[3..]).find_map(|(value, name)| Media::of_type(present(*value).and(Some(name))?));
    match by_type.or_else(by_member) {
        Some(media) => prompt.media(media),
        None if text_.is_some() || refusal.is_some() => prompt.values([text_, refusal]),
        None => prompt.value(part),
    }
    Ok(())
}
