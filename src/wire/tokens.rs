//! Tokens of the o200k_base encoding: counting them, and cutting text into them.
//!
//! The encoder's tables are loaded by the first use, which takes some 80 ms;
//! [`warm`] does it ahead of time, on a thread of the caller's choice.

use bpe_openai::o200k_base;

/// A stretch of text that can be sent: one token, or several where a character spans tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text, never ending within a character.
    pub text: String,
    /// How many tokens it is, at least 1.
    pub tokens: u32,
}

/// Loads the encoder's tables unless they are loaded; afterwards nothing here waits.
pub fn warm() {
    let _ = o200k_base();
}

/// How many tokens `text` is, exactly; time is linear in the length (some 30 ms a mebibyte of prose).
#[must_use]
pub fn count(text: &str) -> u32 {
    u32::try_from(o200k_base().count(text)).unwrap_or(u32::MAX)
}

/// `text` in pieces: their texts joined are `text`, their tokens summed are [`count`].
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
    fn known_counts() {
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(o200k_base().encode("hello world"), [24912, 2375]);
    }

    #[test]
    fn a_character_of_several_tokens_stays_whole() {
        let pieces = split("a🦄é\u{10ffff}b");
        assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), "a🦄é\u{10ffff}b");
        assert!(pieces.iter().any(|piece| piece.tokens > 1), "{pieces:?}");
    }

    proptest! {
        #[test]
        fn pieces_are_the_text_and_tokens_the_count(text in "\\PC{0,80}|[ -~\\n]{0,200}|[🐶🦄é漢\u{10ffff}\\s]{0,40}") {
            let pieces = split(&text);
            prop_assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), text.clone());
            prop_assert_eq!(pieces.iter().map(|piece| piece.tokens).sum::<u32>(), count(&text));
            prop_assert!(pieces.iter().all(|piece| piece.tokens > 0 && !piece.text.is_empty()));
        }
    }
}
