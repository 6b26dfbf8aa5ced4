//! The pass over a chunk or a whole completion that picks up the members that matter.

use super::decoded_chunk::{DecodedChunk, Usage};
use super::usage::read_usage;
use crate::wire::frame_template::{TextSpan, TextSpans};
use crate::wire::operation::Operation;
use crate::wire::quirks::is_generated_text;
use crate::wire::scan::{Malformed, Scanner};

/// Depth to which a delta is searched for text: that of a tool call's function, and of the parts of a content that is
/// an array.
const MAX_TEXT_DEPTH: u8 = 5;

/// The finish reasons that OpenAI's API defines, as JSON.
const FINISH_REASONS: [&str; 5] =
    [r#""stop""#, r#""length""#, r#""tool_calls""#, r#""content_filter""#, r#""function_call""#];

/// The member of a choice that holds its text. Only this one is read: some servers repeat the text so far in a
/// `message` beside the `delta`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChoiceShape {
    /// `delta`, of a chunk of a chat completion.
    #[default]
    Delta,
    /// `message`, of a whole chat completion.
    Message,
    /// `text`, of a text completion, whole or a chunk.
    Text,
}

impl ChoiceShape {
    /// That of the chunks of a stream of this operation.
    #[must_use]
    pub const fn of_chunks(operation: Operation) -> Self {
        match operation {
            Operation::Completions => Self::Text,
            _ => Self::Delta,
        }
    }
}

/// The facts read from a frame so far.
#[derive(Default)]
pub(super) struct Reader {
    /// Where the text of a choice is.
    shape: ChoiceShape,
    pub(super) chunk: DecodedChunk,
    /// The texts that differ from chunk to chunk, in order.
    pub(super) texts: TextSpans,
    /// Whether there is an `error` other than null in the frame or in a choice, or a `finish_reason` of `error`.
    pub(super) has_error: bool,
    /// Whether a member was read that matters.
    has_relevant_member: bool,
    /// The bytes before the value of `choices`; 0 when a member that matters comes before it.
    pub(super) head_len: usize,
}

impl Reader {
    pub(super) fn new(shape: ChoiceShape) -> Self {
        Self { shape, ..Self::default() }
    }

    /// Reads the value of a member of the frame.
    pub(super) fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        match key {
            "choices" => {
                if !self.has_relevant_member {
                    self.head_len = scanner.position();
                }
                return self.choices(scanner);
            }
            "usage" => {
                self.chunk.removable_members += 1;
                match scanner.value()? {
                    "null" => self.chunk.null_usage = true,
                    usage => {
                        self.chunk.has_usage = true;
                        self.add_usage(read_usage(usage));
                    }
                }
            }
            "x_groq" => self.groq(scanner)?,
            "error" => {
                if scanner.value()? == "null" {
                    self.chunk.removable_members += 1;
                    self.chunk.null_error = true;
                } else {
                    self.has_error = true;
                }
            }
            // OpenAI's padding, which evens out the lengths of chunks.
            "obfuscation" => self.text(scanner, TextKind::Padding, 0).map(drop)?,
            _ => return scanner.value().map(drop),
        }
        self.has_relevant_member = true;
        Ok(())
    }

    /// Reads Groq's `x_groq`, which has token counts too.
    fn groq(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(drop);
        }
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            if key == "usage" {
                self.add_usage(read_usage(value));
            }
            Ok(())
        })
    }

    /// Adds token counts. Of several in one frame the larger ones count.
    fn add_usage(&mut self, usage: Option<Usage>) {
        let Some(more) = usage else { return };
        let usage = self.chunk.usage.get_or_insert_default();
        usage.prompt_tokens = usage.prompt_tokens.max(more.prompt_tokens);
        usage.completion_tokens = usage.completion_tokens.max(more.completion_tokens);
    }

    /// Reads the value of `choices`.
    pub(super) fn choices(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        self.has_relevant_member = true;
        if scanner.peek() != Some(b'[') {
            return scanner.value().map(drop);
        }
        self.chunk.has_choices = true;
        scanner.array(|scanner| self.choice(scanner))
    }

    fn choice(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        let (mut index, mut finished) = (0, false);
        let mut content = DeltaContent::default();
        scanner.object(|scanner, key| {
            match &*key {
                "index" => index = scanner.value()?.parse().unwrap_or(0),
                "finish_reason" => finished = self.is_finish(scanner.value()?),
                "delta" if self.shape == ChoiceShape::Delta => self.delta(scanner, &mut content)?,
                "message" if self.shape == ChoiceShape::Message => self.delta(scanner, &mut content)?,
                "text" if self.shape == ChoiceShape::Text => {
                    content.has_text |= self.text(scanner, TextKind::Generated, 0)?;
                }
                // Moonshot puts usage here.
                "usage" => self.add_usage(read_usage(scanner.value()?)),
                "error" => self.has_error |= scanner.value()? != "null",
                _ => drop(scanner.value()?),
            }
            Ok(())
        })?;
        let chunk = &mut self.chunk;
        chunk.seen.insert(index);
        if finished {
            chunk.finished.insert(index);
        }
        if content.has_role {
            chunk.roles.insert(index);
        }
        chunk.tokens += u32::from(content.has_text);
        Ok(())
    }

    /// Whether a `finish_reason` finishes its choice: it is a string that is not empty.
    fn is_finish(&mut self, reason: &str) -> bool {
        if reason == "null" {
            return false;
        }
        self.has_error |= reason == r#""error""#;
        self.chunk.nonstandard_finish |= !FINISH_REASONS.contains(&reason);
        reason.starts_with('"') && reason.len() > 2
    }

    /// Reads a `delta` or a `message`.
    fn delta(&mut self, scanner: &mut Scanner<'_>, content: &mut DeltaContent) -> Result<(), Malformed> {
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(drop);
        }
        scanner.object(|scanner, key| {
            match &*key {
                "role" => content.has_role |= matches!(scanner.value()?.as_bytes(), [b'"', _, .., b'"']),
                "tool_calls" => content.has_text |= self.tool_calls(scanner)?,
                key => content.has_text |= self.text(scanner, TextKind::of(key), MAX_TEXT_DEPTH)?,
            }
            Ok(())
        })
    }

    /// Reads `tool_calls`; returns whether there is text in them.
    fn tool_calls(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, Malformed> {
        if scanner.peek() != Some(b'[') {
            return scanner.value().map(|_| false);
        }
        let mut found = false;
        scanner.array(|scanner| {
            if scanner.peek() != Some(b'{') {
                return scanner.value().map(drop);
            }
            let mut has_index = false;
            scanner.object(|scanner, key| {
                match &*key {
                    "index" => has_index = scanner.value()?.parse::<u64>().is_ok(),
                    key => found |= self.text(scanner, TextKind::of(key), MAX_TEXT_DEPTH - 2)?,
                }
                Ok(())
            })?;
            self.chunk.tool_call_without_index |= !has_index;
            Ok(())
        })?;
        Ok(found)
    }

    /// Reads a value and records the texts in it, down to `depth` levels; returns whether generated text is in them.
    fn text(&mut self, scanner: &mut Scanner<'_>, kind: TextKind, depth: u8) -> Result<bool, Malformed> {
        let mut found = false;
        match scanner.peek() {
            Some(b'"') if kind != TextKind::Other => {
                let start = scanner.position() + 1;
                scanner.value()?;
                let text = TextSpan { at: start..scanner.position() - 1, is_generated: kind == TextKind::Generated };
                found = text.is_generated && !text.at.is_empty();
                self.texts.push(text);
            }
            Some(b'{') if depth > 0 => {
                scanner.object(|scanner, key| {
                    found |= self.text(scanner, TextKind::of(&key), depth - 1)?;
                    Ok(())
                })?;
            }
            Some(b'[') if depth > 0 => {
                scanner.array(|scanner| {
                    found |= self.text(scanner, kind, depth - 1)?;
                    Ok(())
                })?;
            }
            _ => drop(scanner.value()?),
        }
        Ok(found)
    }
}

#[derive(Default)]
struct DeltaContent {
    has_role: bool,
    has_text: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TextKind {
    Generated,
    /// Random text that has no meaning.
    Padding,
    /// Roles, ids, types.
    Other,
}

impl TextKind {
    fn of(key: &str) -> Self {
        if is_generated_text(key) { Self::Generated } else { Self::Other }
    }
}
