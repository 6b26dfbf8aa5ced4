//! The encoding is compared with that of the crate bpe-openai, which is too large to be part of the server.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use bpe_openai::o200k_base;
use proptest::prelude::*;

use super::*;

fn tokenizer() -> Tokenizer {
    Tokenizer::load().unwrap()
}

fn encode(text: &str) -> Vec<u32> {
    let mut tokens = Vec::new();
    tokenizer().each_token(text, |token| tokens.push(token));
    tokens
}

/// Compares the pretokens, the tokens, the count and the pieces.
fn check(text: &str) {
    let expected: Vec<&str> = o200k_base().split(text).collect();
    let found: Vec<&str> = tokenizer().0.classes.pretokens(text).collect();
    assert!(found == expected, "pretokens of {text:.200?}: {found:.20?} and not {expected:.20?}");
    let expected = o200k_base().encode(text);
    assert!(encode(text) == expected, "tokens of {text:.200?}");
    assert_eq!(tokenizer().count(text) as usize, expected.len());
    let pieces = tokenizer().split(text);
    assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
    assert_eq!(pieces.iter().map(|piece| piece.tokens as usize).sum::<usize>(), expected.len());
    assert!(pieces.iter().all(|piece| piece.tokens > 0 && !piece.text.is_empty()));
}

/// The class of a character, from how the regular expression splits it from others.
fn class(character: char) -> u8 {
    let is_one = |text: String| o200k_base().split(&text).count() == 1;
    let class = if matches!(character, '\r' | '\n') {
        pretokens::Class::LineBreak
    } else if character.is_whitespace() {
        pretokens::Class::Space
    } else if is_one(format!("1{character}")) {
        pretokens::Class::Number
    } else if !is_one(format!("A{character}")) {
        pretokens::Class::Other
    } else if !is_one(format!("a{character}")) {
        pretokens::Class::Upper
    } else if !is_one(format!("{character}Aa")) {
        pretokens::Class::Lower
    } else if is_one(format!("!!{character}")) {
        pretokens::Class::Mark
    } else {
        pretokens::Class::Letter
    };
    class as u8
}

/// The length of the left one of the two tokens that are merged last to `token`; 0 for a single byte.
fn left_len(ranks: &HashMap<&[u8], u32>, token: &[u8]) -> u8 {
    let mut borders: Vec<usize> = (0..=token.len()).collect();
    while borders.len() > 3 {
        let rank = |at: usize| ranks.get(&token[borders[at - 1]..borders[at + 1]]).copied();
        let lowest = (1..borders.len() - 1).filter_map(|at| Some((rank(at)?, at))).min();
        borders.remove(lowest.expect("a token is made of merges").1);
    }
    if token.len() == 1 { 0 } else { u8::try_from(borders[1]).unwrap() }
}

/// The contents of the file, from bpe-openai.
fn contents() -> Vec<u8> {
    let mut ranges: Vec<(char, u8)> = Vec::new();
    for character in (0..=char::MAX as u32).filter_map(char::from_u32) {
        let class = class(character);
        if ranges.last().map_or(0, |(_, last)| *last) != class {
            ranges.push((character, class));
        }
    }
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut contents = number(ranges.len()).to_vec();
    contents.extend(ranges.iter().flat_map(|(first, class)| number((*first as usize) << 8 | usize::from(*class))));
    let encoding = &o200k_base().bpe;
    let count = u32::try_from(encoding.num_tokens()).unwrap();
    let tokens: Vec<&[u8]> = (0..count).map(|token| encoding.token_bytes(token)).collect();
    let ranks: HashMap<&[u8], u32> = tokens.iter().copied().zip(0..).collect();
    contents.extend(number(tokens.len()));
    contents.extend(tokens.iter().map(|token| u8::try_from(token.len()).unwrap()));
    contents.extend(tokens.iter().map(|token| left_len(&ranks, token)));
    contents.extend(tokens.concat());
    contents
}

/// To make the file again, for example after bpe-openai has changed: copy what this test has written.
#[test]
fn the_committed_file_is_the_encoding_of_bpe_openai() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/tokens/o200k_base.bin");
    let mut committed = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    let read = flate2::read::ZlibDecoder::new(file).read_to_end(&mut committed);
    let contents = contents();
    if read.is_err() || committed != contents {
        let new = concat!(env!("CARGO_MANIFEST_DIR"), "/target/o200k_base.bin");
        let file = std::fs::File::create(new).unwrap();
        let mut encoder = flate2::write::ZlibEncoder::new(file, flate2::Compression::best());
        encoder.write_all(&contents).unwrap();
        encoder.finish().unwrap();
        panic!("{path} differs from the right one, which is now in {new}");
    }
}

#[test]
fn counts_are_those_of_the_encoding() {
    assert_eq!(tokenizer().count(""), 0);
    assert_eq!(tokenizer().count("hello world"), 2);
    assert_eq!(encode("hello world"), [24912, 2375]);
}

#[test]
fn every_token_is_the_encoding_of_its_text() {
    let mut encoder = Encoder::default();
    let vocabulary = &tokenizer().0.vocabulary;
    for token in 0..u32::try_from(o200k_base().bpe.num_tokens()).unwrap() {
        let text = o200k_base().bpe.token_bytes(token);
        assert_eq!((vocabulary.text(token), vocabulary.find(text)), (text, Some(token)));
        assert_eq!(encoder.encode(vocabulary, text), [token]);
    }
}

#[test]
fn a_character_of_several_tokens_is_not_split() {
    let pieces = tokenizer().split("a🦄é\u{10ffff}b");
    assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), "a🦄é\u{10ffff}b");
    assert!(pieces.iter().any(|piece| piece.tokens > 1), "{pieces:?}");
}

#[test]
fn characters_of_all_scripts_are_encoded_alone_and_between_others() {
    // Of scripts with thousands of characters every seventeenth; the classes of all are those of the file.
    let numbers = (0..0x3000).chain((0x3000..=char::MAX as u32).step_by(17));
    let characters: Vec<char> = numbers.filter_map(char::from_u32).collect();
    for some in characters.chunks(1024) {
        let alone: String = some.iter().collect();
        let between: String = some.iter().flat_map(|one| ['a', *one, 'B', *one, ' ', *one, '\'', *one, '!']).collect();
        check(&alone);
        check(&between);
    }
}

#[test]
fn the_alternatives_of_the_expression_take_precedence_as_there() {
    for text in [
        "don't DON'T I'll we'VE you'Re it'ſ x'd'll 's 'LL a'b a'l a'v a'",
        "\u{301}ABC \u{301}abc A\u{301}\u{301}BC !\u{301}A !!\u{301}a 1\u{301} \u{301}",
        "あAAA あaあA ʰABC Aʰ ǅungla ǅ ßẞ",
        "1 22 333 4444 55555 ½Ⅷ٣٤٥٦ a1b2",
        " \t x\u{a0}\u{a0}y\u{2003} \u{3000}z \u{85}\u{2028}q",
        "\r\n\n  \n x \r y\n\n",
        "  \n  x  ",
        "trailing   ",
        "\t\t\n",
        "!/\n//\r\n/x  /x //// ./\n\n",
        " ! !! \u{200d}\u{fe0f}👩‍👩‍👧‍👦🏽",
    ] {
        check(text);
    }
}

#[test]
fn long_runs_are_encoded_as_by_bpe_openai() {
    for text in ["-".repeat(3_000), "=-".repeat(1_000), (" ".repeat(127) + "\t").repeat(20), "a".repeat(3_000)] {
        check(&text);
    }
}

/// Texts of up to 60 parts, each repeated some times: words, spaces, marks and what else the expression distinguishes.
fn mixed_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z]{1,9}|[A-Z]{1,5}|[A-Z][a-z]{1,8}| [a-z]{1,9}",
        "'(s|S|t|re|VE|m|ll|D|x|ſ)",
        "[ \t\r\n\u{a0}\u{3000}]{1,4}",
        "[0-9]{1,7}|\\p{N}{1,4}",
        "[!-/:-@\\[-`{-~]{1,6}",
        "\\p{Lu}{1,3}|\\p{Lt}{1,3}|\\p{Ll}{1,3}|\\p{Lm}{1,3}|\\p{Lo}{1,3}|\\p{M}{1,3}",
        "\\p{Cyrillic}{1,9}|\\p{Greek}{1,9}|\\p{Han}{1,6}|\\p{Hiragana}{1,6}|\\p{Hangul}{1,6}|\\p{Arabic}{1,6}",
        "\\p{Hebrew}{1,6}|\\p{Devanagari}{1,6}|\\p{Thai}{1,6}|\\p{Tamil}{1,6}|\\p{Georgian}{1,6}|\\p{Armenian}{1,6}",
        "\\p{Emoji}{1,4}|[🐶🦄é漢\u{10ffff}\u{200d}\u{fe0f}]{1,4}",
        any::<String>(),
    ];
    prop::collection::vec((part, 1_usize..4), 0..60)
        .prop_map(|parts| parts.iter().map(|(part, times)| part.repeat(*times)).collect())
}

proptest! {
    #[test]
    fn any_text_is_encoded_as_by_bpe_openai(text in "\\PC{0,80}|[ -~\\n]{0,200}|[🐶🦄é漢\u{10ffff}\\s]{0,40}") {
        check(&text);
    }

    #[test]
    fn text_of_all_scripts_is_encoded_as_by_bpe_openai(text in mixed_text()) {
        check(&text);
    }

    #[test]
    fn long_pretokens_are_encoded_as_by_bpe_openai(part in "[a-z]{1,12}|[ab]{1,9}|[!-/]{1,5}|\\s{1,3}|[漢字あア]{1,4}", times in 1_usize..400) {
        check(&part.repeat(times));
    }

    #[test]
    fn words_without_spaces_are_encoded_as_by_bpe_openai(text in "[a-z]{0,400}|[etaoinsrhld]{0,400}|[A-Za-z\u{300}あ]{0,200}") {
        check(&text);
    }

    #[test]
    fn joined_tokens_are_encoded_as_by_bpe_openai(tokens in prop::collection::vec(0_u32..199_998, 0..60)) {
        check(&String::from_utf8_lossy(&o200k_base().bpe.decode_tokens(&tokens)));
    }
}
