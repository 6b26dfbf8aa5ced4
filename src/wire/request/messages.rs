//! The shape of `messages`: roles and contents. What they say is the model's business.

use super::invalid::Invalid;
use super::shape::{self, array, field, object, present, string};
use crate::wire::scan::{Malformed, Scanner};

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];
const TEXT: &str = "one of a string or array of objects";

/// Checks the value of `messages`.
pub(super) fn check(value: &str) -> Result<(), Invalid> {
    let all = array("messages", "an array of objects", value)?;
    if all.is_empty() {
        return Err(Invalid::empty_array("messages"));
    }
    all.iter().enumerate().try_for_each(|(at, message)| check_one(&format!("messages[{at}]"), message))
}

/// Reads the value if it is a list of messages that have a role and a text, which is as good as always: then one pass both
/// checks it and finds its end. None of others, whose value is still to be read; they are looked at more closely, to say what
/// is wrong with them, if anything is.
pub(super) fn plain<'a>(scanner: &mut Scanner<'a>) -> Option<&'a str> {
    // A list, and objects in it.
    if scanner.peek() != Some(b'[') || !scanner.may_nest(2) {
        return None;
    }
    let mut reading = scanner.clone();
    let mut plain = false;
    let read = reading.array(|scanner| {
        plain = is_plain(scanner)?;
        if plain { Ok(()) } else { Err(Malformed) }
    });
    (read.is_ok() && plain).then(|| scanner.skip_to(&reading))
}

/// Reads a message; tells whether it is plain.
fn is_plain(scanner: &mut Scanner<'_>) -> Result<bool, Malformed> {
    let (mut role, mut content) = (None, None);
    scanner.object(|scanner, key| {
        let place = match &*key {
            "role" => &mut role,
            "content" => &mut content,
            // Other members, and values of several parts, are not looked at here.
            _ => return Err(Malformed),
        };
        if scanner.peek() != Some(b'"') {
            return Err(Malformed);
        }
        // The last one counts; where there are two, somebody should look.
        if place.replace(scanner.value()?).is_some() { Err(Malformed) } else { Ok(()) }
    })?;
    let known = matches!(role, Some("\"user\"" | "\"system\"" | "\"assistant\"" | "\"developer\""));
    Ok(known && content.is_some())
}

fn check_one(path: &str, message: &str) -> Result<(), Invalid> {
    let all = object(path, message)?;
    let at = |name: &str| format!("{path}.{name}");
    let role = present(field(&all, "role")).ok_or_else(|| Invalid::missing(&at("role")))?;
    let role = string(&at("role"), role)?;
    if !ROLES.contains(&&*role) {
        return Err(Invalid::value(&at("role"), &role, &ROLES));
    }
    let content = field(&all, "content");
    match (&*role, content) {
        // An assistant that called tools has said nothing; a function may return nothing.
        ("assistant" | "function", None | Some("null")) => {}
        (_, None) => return Err(Invalid::missing(&at("content"))),
        (_, Some(content)) => check_content(&at("content"), content)?,
    }
    if role == "tool" {
        let id = present(field(&all, "tool_call_id")).ok_or_else(|| Invalid::missing(&at("tool_call_id")))?;
        string(&at("tool_call_id"), id)?;
    }
    if let Some(name) = present(field(&all, "name")) {
        string(&at("name"), name)?;
    }
    match present(field(&all, "tool_calls")) {
        Some(calls) => check_tool_calls(&at("tool_calls"), calls),
        None => Ok(()),
    }
}

fn check_content(path: &str, content: &str) -> Result<(), Invalid> {
    if content.starts_with('"') {
        return Ok(());
    }
    for (at, part) in array(path, TEXT, content)?.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        let all = object(&path, part)?;
        let path = format!("{path}.type");
        let kind = present(field(&all, "type")).ok_or_else(|| Invalid::missing(&path))?;
        string(&path, kind)?;
    }
    Ok(())
}

fn check_tool_calls(path: &str, calls: &str) -> Result<(), Invalid> {
    let calls = array(path, "an array of objects", calls)?;
    calls.into_iter().enumerate().try_for_each(|(at, call)| shape::object(&format!("{path}[{at}]"), call).map(|_| ()))
}
