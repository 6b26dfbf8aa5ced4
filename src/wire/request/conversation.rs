//! The conversation that a request belongs to, as a hash that all its turns share.

use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use crate::wire::members::{member, span, string_member};
use crate::wire::scan::{Malformed, Scanner};

/// How much of a prompt is searched for its first user message, bytes.
const SEARCHED: usize = 256 * 1024;
/// How much of the beginning and of the end of a text is hashed, bytes: long ones of different conversations often
/// begin the same.
const EDGE: usize = 4 * 1024;

/// Where a body names its conversation, and where its prompt is. Empty ranges: it has none.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct ConversationAt {
    /// A string, or an object with the string as `id` or `user_id`.
    name: Range<usize>,
    /// Instructions that are not in `messages`.
    system: Range<usize>,
    /// A list of messages, or a string that is one.
    messages: Range<usize>,
}

impl ConversationAt {
    /// The values are slices of `text`. `names` are those that may name the conversation, the best one first.
    pub(in crate::wire) fn new<'a, const N: usize>(
        text: &str,
        names: [Option<&'a str>; N],
        system: Option<&'a str>,
        messages: Option<&'a str>,
    ) -> Self {
        let at = |value: Option<&str>| value.map(|value| span(text, value)).unwrap_or_default();
        let name = names.into_iter().flatten().find(|name| name_in(name).is_some());
        Self { name: at(name), system: at(system), messages: at(messages) }
    }

    /// The hash of the conversation of the request with this body: see `InferenceRequest::conversation`.
    pub(super) fn hash(&self, body: &[u8], seed: u64) -> Option<u64> {
        let mut hash = Xxh3::with_seed(seed);
        if let Some(name) = name_in(text(body, &self.name)) {
            hash.update(name.as_bytes());
            return Some(hash.digest());
        }
        let mut texts = 0_usize;
        let mut add = |text: &str| {
            texts += 1;
            add_edges(&mut hash, text);
        };
        content(text(body, &self.system), &mut add);
        first_turn(text(body, &self.messages), self.messages.len() > SEARCHED, &mut add);
        (texts > 0).then(|| hash.digest())
    }
}

/// The beginning of a part of the body: what is searched.
fn text<'a>(body: &'a [u8], at: &Range<usize>) -> &'a str {
    let bytes = body.get(at.start..at.end.min(at.start + SEARCHED)).unwrap_or_default();
    // The last character may be cut.
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// The JSON of the string that is or is in `value`, unless it is empty.
fn name_in(value: &str) -> Option<&str> {
    let name = if value.starts_with('{') { member(value, "id").or_else(|| member(value, "user_id"))? } else { value };
    (name.len() > 2 && name.starts_with('"')).then_some(name)
}

/// Adds the texts of the messages before the first user message, and of that one. `is_cut`: the list has no end.
fn first_turn(messages: &str, is_cut: bool, add: &mut impl FnMut(&str)) {
    if !messages.starts_with('[') {
        return content(messages, add);
    }
    let mut found = false;
    // The error ends the scan.
    let _ = Scanner::new(messages).array(|scanner| {
        let message = scanner.value()?;
        let role = string_member(message, "role");
        if let (Some("system" | "developer" | "user"), Some(value)) = (role.as_deref(), member(message, "content")) {
            content(value, add);
        }
        found = role.as_deref() == Some("user");
        if found { Err(Malformed) } else { Ok(()) }
    });
    if is_cut && !found {
        add(messages);
    }
}

/// Adds the texts of a message: one string, or a list of parts. Only the text of a part counts, since others of its
/// members, such as marks for caches, change from turn to turn.
fn content(value: &str, add: &mut impl FnMut(&str)) {
    if !value.starts_with('[') {
        if value.len() > 2 && value != "null" {
            add(value);
        }
        return;
    }
    // The error is the end of what is searched.
    let _ = Scanner::new(value).array(|scanner| {
        let part = scanner.value()?;
        add(if part.starts_with('{') { member(part, "text").unwrap_or(part) } else { part });
        Ok(())
    });
}

/// Adds the length, the beginning and the end of a text.
fn add_edges(hash: &mut Xxh3, text: &str) {
    let bytes = text.as_bytes();
    hash.update(&(bytes.len() as u64).to_le_bytes());
    if bytes.len() <= 2 * EDGE {
        return hash.update(bytes);
    }
    hash.update(&bytes[..EDGE]);
    hash.update(&bytes[bytes.len() - EDGE..]);
}
