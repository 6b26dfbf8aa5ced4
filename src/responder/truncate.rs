//! Splits the answer into tokens and truncates it at a stop string or at the token limit.

use async_openai::types::chat::FinishReason;

use super::options::Options;
use crate::wire::tokens::{Piece, Tokenizer};

/// Splits `text` into pieces and ends it before the first stop string or where the token limit is reached.
///
/// Pieces consist of whole characters: one that needs more tokens than are left is omitted.
pub(super) fn truncate(tokenizer: Tokenizer, text: &str, options: &Options) -> (Vec<Piece>, FinishReason) {
    let mut pieces = tokenizer.split(text);
    let total = pieces.len();
    if let Some(max) = options.max_tokens {
        let mut used = 0_usize;
        let fits = pieces.iter().take_while(|piece| {
            used = used.saturating_add(piece.tokens as usize);
            used <= max
        });
        let fits = fits.count();
        pieces.truncate(fits);
    }
    let kept: usize = pieces.iter().map(|piece| piece.text.len()).sum();
    // A stop string that the token limit cuts off does not count.
    let kept = &text[..kept];
    match options.stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| kept.find(stop.as_str())).min() {
        Some(end) => (tokenizer.split(&kept[..end]), FinishReason::Stop),
        None if pieces.len() < total => (pieces, FinishReason::Length),
        None => (pieces, FinishReason::Stop),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    fn tokenizer() -> Tokenizer {
        Tokenizer::load().unwrap()
    }

    fn text_of(pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn text_ends_before_the_earliest_stop_string() {
        let options = Options { stop: vec!["gamma".into(), "a b".into()], ..Options::default() };
        let (pieces, finish) = truncate(tokenizer(), "alpha beta gamma", &options);
        assert_eq!((text_of(&pieces).as_str(), finish), ("alph", FinishReason::Stop));
    }

    #[test]
    fn the_token_limit_ends_the_text_with_finish_reason_length() {
        let text = "one two three four five";
        let (pieces, finish) = truncate(tokenizer(), text, &Options { max_tokens: Some(2), ..Options::default() });
        assert_eq!((text_of(&pieces).as_str(), finish), ("one two", FinishReason::Length));
        let (pieces, finish) = truncate(tokenizer(), text, &Options { max_tokens: Some(5), ..Options::default() });
        assert_eq!((text_of(&pieces).as_str(), finish), (text, FinishReason::Stop));
    }

    #[test]
    fn a_stop_string_beyond_the_token_limit_does_not_count() {
        let options = Options { max_tokens: Some(1), stop: vec!["three".into()], ..Options::default() };
        assert_eq!(truncate(tokenizer(), "one two three", &options).1, FinishReason::Length);
    }

    proptest! {
        #[test]
        fn the_result_is_a_prefix_within_the_limits(text in "\\PC{0,60}", most in 0_usize..20, stop in "[a-z ]{0,2}") {
            let options = Options { max_tokens: Some(most), stop: vec![stop.clone()], ..Options::default() };
            let (pieces, finish) = truncate(tokenizer(), &text, &options);
            let kept = text_of(&pieces);
            prop_assert!(text.starts_with(&kept));
            prop_assert!(stop.is_empty() || !kept.contains(&stop));
            if finish == FinishReason::Length {
                prop_assert!(tokenizer().count(&text) as usize > most);
                prop_assert!(pieces.iter().map(|piece| piece.tokens as usize).sum::<usize>() <= most);
            }
        }
    }
}
