//! How many tokens a prompt may be: what limits reserve, and what is recorded where no count comes.

use crate::wire::scan::{Malformed, Scanner};

/// A token of English prose or code is about four bytes: OpenAI's own rule of thumb.
pub const BYTES_A_TOKEN: u64 = 4;
/// What a message takes beside its text: its role, and what separates it from others.
pub const TOKENS_A_MESSAGE: u64 = 4;
/// An image, whatever its size; large ones are some 800 to 1,600 tokens with most models.
pub const TOKENS_AN_IMAGE: u64 = 1_000;
/// A piece of audio, whatever its length: some one and a half minutes of speech.
pub const TOKENS_AN_AUDIO: u64 = 1_000;
/// A file or a video, whatever its length.
pub const TOKENS_A_FILE: u64 = 5_000;

/// What a prompt is made of, as far as it has been looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Bytes of text, without the escapes of JSON.
    text: u64,
    /// Tokens of what is counted by the piece.
    flat: u64,
}

impl Prompt {
    pub(super) const fn tokens(self) -> u64 {
        (self.text / BYTES_A_TOKEN).saturating_add(self.flat)
    }

    /// Counts a message, without its text.
    pub(super) const fn message(&mut self) {
        self.flat += TOKENS_A_MESSAGE;
    }

    /// Counts so many bytes of text.
    pub(super) const fn bytes(&mut self, bytes: usize) {
        self.text += bytes as u64;
    }

    /// Counts a value: the text of a string, the JSON of anything else.
    pub(super) fn value(&mut self, json: &str) {
        let text = Scanner::new(json).text().ok().flatten();
        self.bytes(text.map_or(json.len(), |(_, bytes)| bytes));
    }

    /// Counts values that may be absent or null.
    pub(super) fn values<'a>(&mut self, all: impl IntoIterator<Item = Option<&'a str>>) {
        for json in all.into_iter().flatten().filter(|json| *json != "null") {
            self.value(json);
        }
    }

    pub(super) const fn media(&mut self, media: Media) {
        self.flat += match media {
            Media::Image => TOKENS_AN_IMAGE,
            Media::Audio => TOKENS_AN_AUDIO,
            Media::File => TOKENS_A_FILE,
        };
    }
}

/// What is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Image,
    Audio,
    /// Videos too.
    File,
}

impl Media {
    /// That of a content part of this type, as OpenAI and other servers name them; none of text.
    pub(super) fn of_type(kind: &str) -> Option<Self> {
        match kind {
            "image_url" | "input_image" | "image" | "image_pil" | "image_embeds" => Some(Self::Image),
            "input_audio" | "audio_url" | "audio" | "audio_embeds" => Some(Self::Audio),
            "file" | "input_file" | "file_url" | "document" | "document_url" | "video_url" | "input_video"
            | "video" => Some(Self::File),
            _ => None,
        }
    }
}

/// Reads a list of messages, all of which have a role and a text, which is as good as always: then one pass checks it, finds
/// its end and measures it. None of others, whose value is still to be read.
pub(super) fn plain<'a>(scanner: &mut Scanner<'a>) -> Option<(&'a str, Prompt)> {
    // A list, and objects in it.
    if scanner.peek() != Some(b'[') || !scanner.may_nest(2) {
        return None;
    }
    let mut reading = scanner.clone();
    let (mut prompt, mut any) = (Prompt::default(), false);
    let read = reading.array(|scanner| {
        any = true;
        prompt.message();
        prompt.bytes(plain_message(scanner)?);
        Ok(())
    });
    (read.is_ok() && any).then(|| (scanner.skip_to(&reading), prompt))
}

/// The bytes of the text of a message that has nothing else but a role.
fn plain_message(scanner: &mut Scanner<'_>) -> Result<usize, Malformed> {
    let (mut role, mut content) = (None, None);
    scanner.object(|scanner, key| {
        let place = match &*key {
            "role" => &mut role,
            "content" => &mut content,
            // Other members, and values of several parts, are not looked at here.
            _ => return Err(Malformed),
        };
        let text = scanner.text()?.ok_or(Malformed)?;
        if place.replace(text).is_some() { Err(Malformed) } else { Ok(()) }
    })?;
    match (role, content) {
        (Some(("\"user\"" | "\"system\"" | "\"assistant\"" | "\"developer\"", _)), Some((_, bytes))) => Ok(bytes),
        _ => Err(Malformed),
    }
}
