//! An estimate of a prompt's tokens: limits reserve it, and usage records use it when the upstream reports no count.

use super::invalid_request::InvalidRequest;
use super::path::Path;
use super::values::each_element;
use crate::wire::scan::{Malformed, Scanner};

/// Bytes of text in a token: OpenAI's rule of thumb for English prose and code.
pub(super) const BYTES_PER_TOKEN: u64 = 4;
/// Tokens of a message beside its text: its role and separators.
pub(super) const TOKENS_PER_MESSAGE: u64 = 4;
/// Tokens of an image of any size. Large ones are 800 to 1,600 with most models.
pub(super) const TOKENS_PER_IMAGE: u64 = 1_000;
/// Tokens of an audio part of any length; about one and a half minutes of speech.
pub(super) const TOKENS_PER_AUDIO: u64 = 1_000;
/// Tokens of a file or a video of any length.
pub(super) const TOKENS_PER_FILE: u64 = 5_000;

/// The size of a prompt, as far as it has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::wire) struct PromptSize {
    /// Bytes of text with JSON's escapes decoded.
    text_bytes: u64,
    /// Tokens of messages and media, which have a fixed number each.
    fixed_tokens: u64,
}

impl PromptSize {
    pub(in crate::wire) const fn tokens(self) -> u64 {
        (self.text_bytes / BYTES_PER_TOKEN).saturating_add(self.fixed_tokens)
    }

    /// Adds a message without its text.
    pub(in crate::wire) const fn add_message(&mut self) {
        self.fixed_tokens += TOKENS_PER_MESSAGE;
    }

    pub(in crate::wire) const fn add_bytes(&mut self, bytes: usize) {
        self.text_bytes += bytes as u64;
    }

    /// Adds a value: a string's decoded text, the JSON of anything else.
    pub(in crate::wire) fn add_value(&mut self, json: &str) {
        let string = Scanner::new(json).string().ok().flatten();
        self.add_bytes(string.map_or(json.len(), |(_, bytes)| bytes));
    }

    /// Adds values that may be absent or null.
    pub(in crate::wire) fn add_values<'a>(&mut self, all: impl IntoIterator<Item = Option<&'a str>>) {
        for json in all.into_iter().flatten().filter(|json| *json != "null") {
            self.add_value(json);
        }
    }

    pub(in crate::wire) const fn add_media(&mut self, media: Media) {
        self.fixed_tokens += match media {
            Media::Image => TOKENS_PER_IMAGE,
            Media::Audio => TOKENS_PER_AUDIO,
            Media::File => TOKENS_PER_FILE,
        };
    }
}

/// The inputs of completions and embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// How many there are.
    pub(super) count: u64,
    /// Their tokens: exact where they are given as tokens, otherwise an estimate.
    pub(super) tokens: u64,
}

/// Measures a `prompt` or an `input`: a string, an array of strings, an array of tokens, or an array of arrays of
/// tokens. The first element decides which.
pub(super) fn inputs(param: &str, value: &str) -> Result<Inputs, InvalidRequest> {
    const EXPECTED: &str = "one of a string, an array of strings, an array of tokens or an array of arrays of tokens";
    let mut text = PromptSize::default();
    if value.starts_with('"') {
        text.add_value(value);
        return Ok(Inputs { count: 1, tokens: text.tokens() });
    }
    let (mut first, mut tokens) = (None, 0_u64);
    let count = each_element(param, EXPECTED, value, |at, element| {
        let kind = *first.get_or_insert(element.as_bytes()[0]);
        match kind {
            b'"' if element.starts_with('"') => text.add_value(element),
            b'"' => return Err(InvalidRequest::wrong_type(Path::element(&param, at), "a string", element)),
            b'[' => {
                let path = Path::element(&param, at);
                let found = each_element(path, "an array of tokens", element, |at, token| {
                    is_token(Path::element(&path, at), token)
                })?;
                tokens = tokens.saturating_add(found as u64);
            }
            _ => {
                is_token(Path::element(&param, at), element)?;
                tokens = tokens.saturating_add(1);
            }
        }
        Ok(())
    })?;
    let Some(kind) = first else { return Err(InvalidRequest::empty_array(param)) };
    let count = if matches!(kind, b'"' | b'[') { count as u64 } else { 1 };
    Ok(Inputs { count, tokens: text.tokens().saturating_add(tokens) })
}

fn is_token(path: Path<'_>, value: &str) -> Result<(), InvalidRequest> {
    if value.as_bytes()[0].is_ascii_digit() { Ok(()) } else { Err(InvalidRequest::wrong_type(path, "a token", value)) }
}

/// A content part that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Media {
    Image,
    Audio,
    /// A file or a video.
    File,
}

impl Media {
    /// The media of a content part by its `type`, as OpenAI and other servers name them; none for text.
    pub(in crate::wire) fn of_type(kind: &str) -> Option<Self> {
        match kind {
            "image_url" | "input_image" | "image" | "image_pil" | "image_embeds" => Some(Self::Image),
            "input_audio" | "audio_url" | "audio" | "audio_embeds" => Some(Self::Audio),
            "file" | "input_file" | "file_url" | "document" | "document_url" | "video_url" | "input_video"
            | "video" => Some(Self::File),
            _ => None,
        }
    }
}

/// Reads `messages` in the common case, in which every message has a role and a string as content, and nothing else:
/// one pass checks the list, finds its end and measures it. None for other values, which are then still to be read.
pub(super) fn plain_messages<'a>(scanner: &mut Scanner<'a>) -> Option<(&'a str, PromptSize)> {
    // The array, and the objects in it.
    if scanner.peek() != Some(b'[') || !scanner.allows_depth(2) {
        return None;
    }
    let mut ahead = scanner.clone();
    let (mut size, mut any) = (PromptSize::default(), false);
    let scanned = ahead.array(|scanner| {
        any = true;
        size.add_message();
        size.add_bytes(plain_message(scanner)?);
        Ok(())
    });
    (scanned.is_ok() && any).then(|| (scanner.skip_to(&ahead), size))
}

/// The bytes of the text of a message that has a role and a string as content, and nothing else; malformed for others.
fn plain_message(scanner: &mut Scanner<'_>) -> Result<usize, Malformed> {
    let (mut role, mut content) = (None, None);
    scanner.object(|scanner, key| {
        let member = match &*key {
            "role" => &mut role,
            "content" => &mut content,
            _ => return Err(Malformed),
        };
        let string = scanner.string()?.ok_or(Malformed)?;
        if member.replace(string).is_some() { Err(Malformed) } else { Ok(()) }
    })?;
    match (role, content) {
        (Some(("\"user\"" | "\"system\"" | "\"assistant\"" | "\"developer\"", _)), Some((_, bytes))) => Ok(bytes),
        _ => Err(Malformed),
    }
}
