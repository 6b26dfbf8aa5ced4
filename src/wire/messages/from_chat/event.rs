//! Reads the events of a stream of messages, and whole messages: one pass over the members that are translated.

use crate::wire::scan::{Malformed, Scanner};

/// The members of an event, or of a whole message, as slices of it.
#[derive(Debug, Default)]
pub(super) struct Event<'a> {
    /// The JSON of `type`.
    pub(super) kind: &'a str,
    pub(super) index: Option<u64>,
    /// `delta` or `content_block`.
    pub(super) part: Part<'a>,
    /// The blocks of a whole message; none where `content` is no array.
    pub(super) content: Option<Vec<Part<'a>>>,
    pub(super) stop: StopMembers<'a>,
    /// The JSON of `usage`, of the event or of the `message` in it.
    pub(super) usage: Option<&'a str>,
}

/// The members of a block, or of a delta: the JSON of each.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) kind: &'a str,
    pub(super) text: Option<&'a str>,
    pub(super) thinking: Option<&'a str>,
    pub(super) partial_json: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) input: Option<&'a str>,
}

/// Why an answer ended: the JSON of each member.
#[derive(Debug, Default)]
pub(super) struct StopMembers<'a> {
    pub(super) reason: Option<&'a str>,
    pub(super) details: Option<&'a str>,
}

impl<'a> StopMembers<'a> {
    /// Whether `key` is a member of these, whose value is then kept.
    fn take(&mut self, key: &str, value: &'a str) -> bool {
        match key {
            "stop_reason" => self.reason = Some(value),
            "stop_details" => self.details = Some(value),
            _ => return false,
        }
        true
    }
}

impl<'a> Event<'a> {
    /// Reads the data of an event, or a whole message.
    ///
    /// # Errors
    /// [`Malformed`] when it is no JSON object.
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        let mut found = Self::default();
        let mut scanner = Scanner::new(text);
        scanner.object(|scanner, key| match &*key {
            "delta" | "content_block" if scanner.peek() == Some(b'{') => {
                found.part = Part::read(scanner, &mut found.stop)?;
                Ok(())
            }
            "message" if scanner.peek() == Some(b'{') => scanner.object(|scanner, key| {
                let value = scanner.value()?;
                if key == "usage" {
                    found.usage = Some(value);
                }
                Ok(())
            }),
            "content" if scanner.peek() == Some(b'[') => {
                let blocks = found.content.insert(Vec::new());
                scanner.array(|scanner| {
                    blocks.push(Part::read(scanner, &mut StopMembers::default())?);
                    Ok(())
                })
            }
            key => {
                let value = scanner.value()?;
                match key {
                    "type" => found.kind = value,
                    "index" => found.index = value.parse().ok(),
                    "usage" => found.usage = Some(value),
                    key => drop(found.stop.take(key, value)),
                }
                Ok(())
            }
        })?;
        scanner.end()?;
        Ok(found)
    }
}

impl<'a> Part<'a> {
    fn read(scanner: &mut Scanner<'a>, stop: &mut StopMembers<'a>) -> Result<Self, Malformed> {
        let mut found = Self::default();
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            let member = match &*key {
                "type" => {
                    found.kind = value;
                    return Ok(());
                }
                "text" => &mut found.text,
                "thinking" => &mut found.thinking,
                "partial_json" => &mut found.partial_json,
                "id" => &mut found.id,
                "name" => &mut found.name,
                "input" => &mut found.input,
                key => {
                    stop.take(key, value);
                    return Ok(());
                }
            };
            *member = Some(value);
            Ok(())
        })?;
        Ok(found)
    }
}
