//! Tokens of OpenAI's `o200k_base` encoding: counting them, and splitting text into them.
//!
//! The first use loads the encoder's tables, which takes about 80 ms; [`warm`] does it ahead of time.

use bpe_openai::o200k_base;

/// A part of a text that can be sent by itself: one token, or several where a character spans tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text; never empty.
    pub text: String,
    /// The number of its tokens, at least 1.
    pub tokens: u32,
}

/// Loads the encoder's tables unless they are loaded. Blocks for about 80 ms.
pub fn warm() {
    let _ = o200k_base();
}

/// The exact number of tokens of `text`. Linear in the length, about 30 ms a mebibyte of prose.
///
/// ```
/// assert_eq!(petstream::wire::tokens::count("hello world"), 2);
/// ```
#[must_use]
pub fn count(text: &str) -> u32 {
    u32::try_from(o200k_base().count(text)).unwrap_or(u32::MAX)
}

/// Splits `text` into pieces. Their texts concatenated are `text`, and the sum of their tokens is [`count`].
///
/// ```
/// let pieces = petstream::wire::tokens::split("hello world");
/// assert_eq!([&*pieces[0].text, &*pieces[1].text], ["hello", " world"]);
/// ```
#[must_use]
pub fn split(text: &str) -> Vec<Piece> {
    let encoder = o200k_base();
    let mut pieces = Vec::new();
    let (mut start, mut end, mut tokens) = (0, 0, 0);
    for token in encoder.encode(text) {
        end += encoder.bpe.token_len(token);
        tokens += 1;
        if text.is_char_boundary(end) {
            pieces.push(Piece { text: text[start..end].to_owned(), tokens });
            (start, tokens) = (end, 0);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_those_of_the_encoding() {
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(o200k_base().encode("hello world"), [24912, 2375]);
    }

    #[test]
    fn a_character_of_several_tokens_is_not_split() {
        let pieces = split("a🦄é\u{10ffff}b");
        assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), "a🦄é\u{10ffff}b");
        assert!(pieces.iter().any(|piece| piece.tokens > 1), "{pieces:?}");
    }

    proptest! {
        #[test]
        fn pieces_add_up_to_the_text_and_its_tokens(text in "\\PC{0,80}|[ -~\\n]{0,200}|[🐶🦄é漢\u{10ffff}\\s]{0,40}") {
            let pieces = split(&text);
            prop_assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), text.clone());
            prop_assert_eq!(pieces.iter().map(|piece| piece.tokens).sum::<u32>(), count(&text));
            prop_assert!(pieces.iter().all(|piece| piece.tokens > 0 && !piece.text.is_empty()));
        }
    }
}
