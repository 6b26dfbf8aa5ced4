//! One pass over a frame or a whole answer: checks that it is well-formed, and picks up the few members that matter.

use super::facts::{Facts, Usage};
use super::usage::read_usage;
use crate::wire::frame_template::Text;
use crate::wire::quirks::is_text;
use crate::wire::scan::{Malformed, Scanner};

/// How deep texts lie in a delta: those of a tool call's function, and of the parts of a content that is a list.
const DEPTH: u8 = 5;

/// The five reasons that the contract knows.
const REASONS: [&str; 5] = [r#""stop""#, r#""length""#, r#""tool_calls""#, r#""content_filter""#, r#""function_call""#];

/// What a frame has said so far.
#[derive(Default)]
pub(super) struct Reading {
    /// The frame is a whole answer, with a `message` in each choice; of a chunk only the `delta` counts, because some
    /// servers repeat all that they have said in a `message` beside it.
    is_answer: bool,
    pub(super) facts: Facts,
    /// Where the texts stand that differ from chunk to chunk.
    pub(super) texts: Vec<Text>,
    /// It carries an error: an `error` that is not null, of its own or of a choice, or a choice that ends in `error`.
    pub(super) has_error: bool,
    /// A member came that says something to us.
    has_said: bool,
    /// How long the frame is up to the value of its choices; 0 where something before them says something to us.
    pub(super) head: usize,
}

impl Reading {
    /// For a whole answer.
    pub(super) fn of_answer() -> Self {
        Self { is_answer: true, ..Self::default() }
    }

    /// Reads the value of one member of the frame.
    pub(super) fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        match key {
            "choices" => {
                if !self.has_said {
                    self.head = scanner.at();
                }
                return self.choices(scanner);
            }
            "usage" => {
                self.facts.hideable += 1;
                match scanner.value()? {
                    "null" => self.facts.null_usage = true,
                    usage => {
                        self.facts.has_usage = true;
                        self.told(read_usage(usage));
                    }
                }
            }
            "x_groq" => self.groq(scanner)?,
            "error" => {
                if scanner.value()? == "null" {
                    self.facts.hideable += 1;
                    self.facts.null_error = true;
                } else {
                    self.has_error = true;
                }
            }
            // OpenAI's padding, as long as a chunk's text is short.
            "obfuscation" => self.text(scanner, Place::Padding, 0).map(drop)?,
            _ => return scanner.value().map(drop),
        }
        self.has_said = true;
        Ok(())
    }

    /// Groq has its counts in an object of its own too.
    fn groq(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(drop);
        }
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            if key == "usage" {
                self.told(read_usage(value));
            }
            Ok(())
        })
    }

    /// Takes note of counts; of several in one frame the greater.
    fn told(&mut self, usage: Option<Usage>) {
        let Some(more) = usage else { return };
        let usage = self.facts.usage.get_or_insert_default();
        usage.prompt_tokens = usage.prompt_tokens.max(more.prompt_tokens);
        usage.completion_tokens = usage.completion_tokens.max(more.completion_tokens);
    }

    /// Reads the value of `choices`.
    pub(super) fn choices(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        self.has_said = true;
        if scanner.peek() != Some(b'[') {
            return scanner.value().map(drop);
        }
        self.facts.has_choices = true;
        scanner.array(|scanner| self.choice(scanner))
    }

    fn choice(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        let (mut index, mut finished) = (0, false);
        let mut said = Said::default();
        scanner.object(|scanner, key| {
            match &*key {
                "index" => index = scanner.value()?.parse().unwrap_or(0),
                "finish_reason" => finished = self.ends(scanner.value()?),
                "delta" if !self.is_answer => self.delta(scanner, &mut said)?,
                "message" if self.is_answer => self.delta(scanner, &mut said)?,
                // Moonshot's place for them.
                "usage" => self.told(read_usage(scanner.value()?)),
                "error" => self.has_error |= scanner.value()? != "null",
                _ => drop(scanner.value()?),
            }
            Ok(())
        })?;
        let facts = &mut self.facts;
        facts.seen.insert(index);
        if finished {
            facts.finished.insert(index);
        }
        if said.role {
            facts.roles.insert(index);
        }
        facts.tokens += u32::from(said.text);
        Ok(())
    }

    /// Whether a `finish_reason` ends its choice: a string that is not empty does.
    fn ends(&mut self, reason: &str) -> bool {
        if reason == "null" {
            return false;
        }
        self.has_error |= reason == r#""error""#;
        self.facts.odd_finish |= !REASONS.contains(&reason);
        reason.starts_with('"') && reason.len() > 2
    }

    /// Reads a delta, or a whole message.
    fn delta(&mut self, scanner: &mut Scanner<'_>, said: &mut Said) -> Result<(), Malformed> {
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(drop);
        }
        scanner.object(|scanner, key| {
            match &*key {
                "role" => said.role |= matches!(scanner.value()?.as_bytes(), [b'"', _, .., b'"']),
                "tool_calls" => said.text |= self.calls(scanner)?,
                key => said.text |= self.text(scanner, Place::of(key), DEPTH)?,
            }
            Ok(())
        })
    }

    /// Reads a list of tool calls, each of which has to say which one it is; whether there is text in them.
    fn calls(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, Malformed> {
        if scanner.peek() != Some(b'[') {
            return scanner.value().map(|_| false);
        }
        let mut found = false;
        scanner.array(|scanner| {
            if scanner.peek() != Some(b'{') {
                return scanner.value().map(drop);
            }
            let mut numbered = false;
            scanner.object(|scanner, key| {
                match &*key {
                    "index" => numbered = scanner.value()?.parse::<u64>().is_ok(),
                    key => found |= self.text(scanner, Place::of(key), DEPTH - 2)?,
                }
                Ok(())
            })?;
            self.facts.unnumbered_call |= !numbered;
            Ok(())
        })?;
        Ok(found)
    }

    /// Reads a value, and notes where the texts in it stand; whether one of those that count is not empty.
    fn text(&mut self, scanner: &mut Scanner<'_>, place: Place, depth: u8) -> Result<bool, Malformed> {
        let mut found = false;
        match scanner.peek() {
            Some(b'"') if place != Place::Other => {
                let start = scanner.at() + 1;
                scanner.value()?;
                let text = Text { at: start..scanner.at() - 1, counts: place == Place::Text };
                found = text.counts && !text.at.is_empty();
                self.texts.push(text);
            }
            Some(b'{') if depth > 0 => {
                scanner.object(|scanner, key| {
                    found |= self.text(scanner, Place::of(&key), depth - 1)?;
                    Ok(())
                })?;
            }
            Some(b'[') if depth > 0 => {
                scanner.array(|scanner| {
                    found |= self.text(scanner, place, depth - 1)?;
                    Ok(())
                })?;
            }
            _ => drop(scanner.value()?),
        }
        Ok(found)
    }
}

/// What a choice's delta says.
#[derive(Default)]
struct Said {
    role: bool,
    text: bool,
}

/// What kind of text stands in a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Generated text.
    Text,
    /// Text that differs from chunk to chunk and means nothing.
    Padding,
    /// Names, ids, types.
    Other,
}

impl Place {
    fn of(key: &str) -> Self {
        if is_text(key) { Self::Text } else { Self::Other }
    }
}
