//! Translates the messages of a request: to turns of the user and the assistant, and a system prompt.

use super::blocks::{each_block, each_text, text_block};
use crate::wire::messages::frames::input_of;
use crate::wire::request::{InvalidRequest, Path, decode_string, each_element, pick, present, string};
use crate::wire::translation::{Array, JoinedText, Object, inside, refuse_others};

/// What an assistant's message may have besides its role and what is translated. Clients send back answers as they
/// came; these members have no influence, or belong to reasoning, which has no signature.
const OF_ANSWERS: [&str; 4] = ["annotations", "reasoning", "reasoning_content", "reasoning_details"];

/// The messages of a request, translated.
#[derive(Debug, Default)]
pub(super) struct Turns<'a> {
    /// Texts, and the `cache_control` of those that have one; all JSON.
    system: Vec<(&'a str, Option<&'a str>)>,
    all: Vec<Turn>,
}

/// A message of the request for messages.
#[derive(Debug)]
struct Turn {
    role: Role,
    /// The results of tools, which come before everything else.
    results: Vec<String>,
    blocks: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

impl<'a> Turns<'a> {
    /// Translates `messages`.
    pub(super) fn read(list: &'a str) -> Result<Self, InvalidRequest> {
        let mut turns = Self::default();
        let count = each_element("messages", "an array of objects", list, |at, message| {
            turns.message(Path::element(&"messages", at), message)
        })?;
        if count == 0 { Err(InvalidRequest::empty_array("messages")) } else { Ok(turns) }
    }

    fn message(&mut self, path: Path<'_>, message: &'a str) -> Result<(), InvalidRequest> {
        let [role, content] = pick(path, message, &["role", "content"])?;
        let at_role = Path::member(&path, "role");
        let role = present(role).ok_or_else(|| InvalidRequest::missing(at_role))?;
        let (at, content) = (Path::member(&path, "content"), present(content));
        let required = || content.ok_or_else(|| InvalidRequest::missing(at));
        match &*string(at_role, role)? {
            "system" | "developer" => {
                refuse_others(path, message, &["role", "content"])?;
                self.push_system(at, required()?)
            }
            "user" => {
                refuse_others(path, message, &["role", "content"])?;
                each_block(at, required()?, |block| self.turn(Role::User).blocks.push(block.json))
            }
            "tool" => self.push_result(path, message, required()?),
            "assistant" => self.push_assistant(path, message, content),
            "function" => Err(InvalidRequest::untranslatable(at_role)),
            other => {
                let roles = ["system", "developer", "user", "assistant", "tool"];
                Err(InvalidRequest::value(at_role, other, &roles))
            }
        }
    }

    /// The turn of this role: the last one, or a new one, which must then get a block. So a message without any block
    /// does not separate its neighbours.
    fn turn(&mut self, role: Role) -> &mut Turn {
        if self.all.last().is_none_or(|last| last.role != role) {
            self.all.push(Turn { role, results: Vec::new(), blocks: Vec::new() });
        }
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    fn push_system(&mut self, path: Path<'_>, content: &'a str) -> Result<(), InvalidRequest> {
        each_text(path, content, |_, text, control| self.system.push((text, control)))
    }

    fn push_result(&mut self, path: Path<'_>, message: &str, content: &str) -> Result<(), InvalidRequest> {
        refuse_others(path, message, &["role", "content", "tool_call_id", "name"])?;
        let [id] = pick(path, message, &["tool_call_id"])?;
        let at_id = Path::member(&path, "tool_call_id");
        let id = present(id).ok_or_else(|| InvalidRequest::missing(at_id))?;
        string(at_id, id)?;
        let mut result = Object::new();
        result.raw("type", "\"tool_result\"").raw("tool_use_id", id);
        let at = Path::member(&path, "content");
        if content.starts_with('"') {
            string(at, content)?;
            result.raw("content", content);
        } else {
            let mut blocks = Array::default();
            each_block(at, content, |block| blocks.push(&block.json))?;
            result.raw("content", &blocks.finish());
        }
        self.turn(Role::User).results.push(result.finish());
        Ok(())
    }

    fn push_assistant(&mut self, path: Path<'_>, message: &str, content: Option<&str>) -> Result<(), InvalidRequest> {
        let names = ["role", "content", "refusal", "tool_calls"];
        refuse_others(path, message, &[&names[..], &OF_ANSWERS[..]].concat())?;
        let [refusal, calls] = pick(path, message, &["refusal", "tool_calls"])?;
        let mut push = |block| self.turn(Role::Assistant).blocks.push(block);
        if let Some(content) = content {
            each_text(Path::member(&path, "content"), content, |block, _, _| push(block))?;
        }
        if let Some(refusal) = present(refusal) {
            text_block(Path::member(&path, "refusal"), refusal, None)?.into_iter().for_each(&mut push);
        }
        let Some(calls) = present(calls) else { return Ok(()) };
        let at = Path::member(&path, "tool_calls");
        each_element(at, "an array of objects", calls, |index, call| {
            push(tool_use(Path::element(&at, index), call)?);
            Ok(())
        })
        .map(drop)
    }

    /// The system prompt as JSON: one string, or blocks where one of its texts has a `cache_control`.
    pub(super) fn system(&self) -> Option<String> {
        if self.system.is_empty() {
            return None;
        }
        if self.system.iter().all(|(_, control)| control.is_none()) {
            let mut joined = JoinedText::default();
            self.system.iter().for_each(|(text, _)| joined.push_line(text));
            return Some(joined.to_json());
        }
        let mut blocks = Array::default();
        for (text, control) in &self.system {
            let mut block = Object::new();
            block.raw("type", "\"text\"").raw("text", text).raw_if("cache_control", *control);
            blocks.push(&block.finish());
        }
        Some(blocks.finish())
    }

    /// The messages as a JSON array.
    pub(super) fn into_messages(self) -> Result<String, InvalidRequest> {
        if self.all.is_empty() {
            let expected = "a message of the user or the assistant that is not empty";
            return Err(InvalidRequest::unfit("messages", expected));
        }
        let mut messages = Array::default();
        for turn in self.all {
            let role = match turn.role {
                Role::User => "\"user\"",
                Role::Assistant => "\"assistant\"",
            };
            let mut content = Array::default();
            turn.results.iter().chain(&turn.blocks).for_each(|block| content.push(block));
            messages.push(&Object::new().raw("role", role).raw("content", &content.finish()).finish());
        }
        Ok(messages.finish())
    }
}

/// The block of a tool call. Its arguments, a string of JSON, become an object.
fn tool_use(path: Path<'_>, call: &str) -> Result<String, InvalidRequest> {
    let [id, kind, function] = pick(path, call, &["id", "type", "function"])?;
    if present(kind).is_some_and(|kind| decode_string(kind).as_deref() != Some("function")) {
        return Err(InvalidRequest::untranslatable(Path::member(&path, "type")));
    }
    refuse_others(path, call, &["id", "type", "function", "index"])?;
    let at = Path::member(&path, "function");
    let function = present(function).ok_or_else(|| InvalidRequest::missing(at))?;
    let [name, arguments] = pick(at, function, &["name", "arguments"])?;
    refuse_others(at, function, &["name", "arguments"])?;
    let required = |path, value| -> Result<&str, InvalidRequest> {
        let value = present(value).ok_or_else(|| InvalidRequest::missing(path))?;
        string(path, value).map(|_| value)
    };
    let id = required(Path::member(&path, "id"), id)?;
    let name = required(Path::member(&at, "name"), name)?;
    let at = Path::member(&at, "arguments");
    let arguments = required(at, arguments)?;
    let input = input_of(inside(arguments)).ok_or_else(|| InvalidRequest::unfit(at, "the JSON of an object"))?;
    Ok(Object::new().raw("type", "\"tool_use\"").raw("id", id).raw("name", name).raw("input", &input).finish())
}
