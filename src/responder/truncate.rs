//! Text to tokens, within the bounds of the request: `stop` and the most tokens.

use async_openai::types::chat::FinishReason;

use super::options::Options;
use crate::wire::tokens::{Piece, split};

/// The text in pieces, cut at the first stop string or where the tokens are used up.
///
/// A character that would need more tokens than are left is left out: no piece ends within one.
pub(super) fn cut(text: &str, options: &Options) -> (Vec<Piece>, FinishReason) {
    let mut pieces = split(text);
    let whole = pieces.len();
    if let Some(most) = options.most_tokens {
        let mut used = 0_usize;
        let fits = pieces.iter().take_while(|piece| {
            used = used.saturating_add(piece.tokens as usize);
            used <= most
        });
        let fits = fits.count();
        pieces.truncate(fits);
    }
    let sent: usize = pieces.iter().map(|piece| piece.text.len()).sum();
    // A stop string counts once it has been said in full.
    let sent = &text[..sent];
    match options.stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| sent.find(stop.as_str())).min() {
        Some(end) => (split(&sent[..end]), FinishReason::Stop),
        None if pieces.len() < whole => (pieces, FinishReason::Length),
        None => (pieces, FinishReason::Stop),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::tokens::count;

    fn text_of(pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn the_earliest_stop_wins_and_is_not_said() {
        let options = Options { stop: vec!["gamma".into(), "a b".into()], ..Options::default() };
        let (pieces, finish) = cut("alpha beta gamma", &options);
        assert_eq!((text_of(&pieces).as_str(), finish), ("alph", FinishReason::Stop));
    }

    #[test]
    fn the_bound_counts_tokens_and_says_so() {
        let text = "one two three four five";
        let (pieces, finish) = cut(text, &Options { most_tokens: Some(2), ..Options::default() });
        assert_eq!((text_of(&pieces).as_str(), finish), ("one two", FinishReason::Length));
        let (pieces, finish) = cut(text, &Options { most_tokens: Some(5), ..Options::default() });
        assert_eq!((text_of(&pieces).as_str(), finish), (text, FinishReason::Stop));
    }

    #[test]
    fn a_stop_behind_the_bound_does_not_count() {
        let options = Options { most_tokens: Some(1), stop: vec!["three".into()], ..Options::default() };
        assert_eq!(cut("one two three", &options).1, FinishReason::Length);
    }

    proptest! {
        #[test]
        fn never_more_than_allowed_and_always_a_beginning(text in "\\PC{0,60}", most in 0_usize..20, stop in "[a-z ]{0,2}") {
            let options = Options { most_tokens: Some(most), stop: vec![stop.clone()], ..Options::default() };
            let (pieces, finish) = cut(&text, &options);
            let said = text_of(&pieces);
            prop_assert!(text.starts_with(&said));
            prop_assert!(stop.is_empty() || !said.contains(&stop));
            if finish == FinishReason::Length {
                prop_assert!(count(&text) as usize > most);
                prop_assert!(pieces.iter().map(|piece| piece.tokens as usize).sum::<usize>() <= most);
            }
        }
    }
}
