//! The lexer: splits text into sentences of words in lower case, expands contractions and recognizes amounts.
//!
//! Its units are called words, since a token is a unit of the completion here. Other punctuation than commas is
//! dropped.

use rust_decimal::Decimal;

/// The kind of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::responder) enum WordKind {
    /// Letters, or letters and digits.
    Letters,
    /// A plain number.
    Number(Decimal),
    /// A number with a dollar sign.
    Money(Decimal),
    /// A comma or semicolon between words.
    Comma,
}

/// A word of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::responder) struct Word {
    /// Lower case.
    pub(in crate::responder) text: String,
    pub(in crate::responder) kind: WordKind,
    /// Starts with a capital letter, but is not the first word of its sentence: perhaps a name.
    pub(in crate::responder) capitalized: bool,
}

/// Splits a text into sentences; empty ones are omitted.
pub(in crate::responder) fn split_sentences(text: &str) -> Vec<Vec<Word>> {
    // In a text without lower-case letters, a capital letter does not indicate a name.
    let all_caps = !text.chars().any(char::is_lowercase);
    let chars: Vec<char> = text.chars().map(|c| if matches!(c, '’' | '‘' | 'ʼ' | '`') { '\'' } else { c }).collect();
    let mut lexer = Lexer { chars: &chars, at: 0, all_caps, finished: Vec::new(), current: Vec::new() };
    lexer.run();
    lexer.finished
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    all_caps: bool,
    finished: Vec<Vec<Word>>,
    /// The sentence that is being read.
    current: Vec<Word>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                c if c.is_ascii_digit() || (c == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit())) => {
                    self.number();
                }
                '$' => self.dollar(),
                c if c.is_alphanumeric() => self.letters(),
                '.' | '?' | '!' | '\n' | '。' | '？' | '！' => {
                    self.at += 1;
                    if self.ends_sentence(c) {
                        self.finish_sentence();
                    }
                }
                _ => self.symbol(c),
            }
        }
        self.finish_sentence();
    }

    /// A dot ends a sentence only before white space or the end, and not after an abbreviation.
    fn ends_sentence(&self, mark: char) -> bool {
        if mark != '.' {
            return true;
        }
        let abbreviation =
            self.current.last().is_some_and(|word| matches!(word.text.as_str(), "st" | "mr" | "mrs" | "dr"));
        !abbreviation && self.peek(0).is_none_or(char::is_whitespace)
    }

    fn finish_sentence(&mut self) {
        if !self.current.is_empty() {
            self.finished.push(std::mem::take(&mut self.current));
        }
    }

    fn push(&mut self, text: &str, kind: WordKind, capitalized: bool) {
        let capitalized = capitalized && !self.all_caps && self.current.iter().any(|word| word.kind != WordKind::Comma);
        self.current.push(Word { text: text.to_owned(), kind, capitalized });
    }

    fn word(&mut self, text: &str) {
        self.push(text, WordKind::Letters, false);
    }

    fn number(&mut self) {
        let Some(mut value) = self.digits() else {
            self.word("?");
            return;
        };
        let suffix: String =
            self.chars[self.at..].iter().take_while(|c| c.is_alphabetic()).collect::<String>().to_lowercase();
        if suffix == "k" {
            self.at += 1;
            value = value.saturating_mul(Decimal::ONE_THOUSAND);
        }
        if matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") {
            self.at += 2;
            self.word(&format!("{}{suffix}", value.normalize()));
        } else if self.peek(0) == Some('$') && !self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            self.push(&value.to_string(), WordKind::Money(value), false);
        } else {
            self.push(&value.to_string(), WordKind::Number(value), false);
        }
        self.after_number();
    }

    fn dollar(&mut self) {
        self.at += 1;
        while self.peek(0) == Some(' ') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        if !self.peek(0).is_some_and(|c| c.is_ascii_digit() || c == '.') {
            self.word("dollars");
            return;
        }
        let Some(mut value) = self.digits() else {
            self.word("?");
            return;
        };
        if matches!(self.peek(0), Some('k' | 'K')) && !self.peek(1).is_some_and(char::is_alphanumeric) {
            self.at += 1;
            value = value.saturating_mul(Decimal::ONE_THOUSAND);
        }
        self.push(&value.to_string(), WordKind::Money(value), false);
        self.after_number();
    }

    /// A number such as `1,200.50`; `None` if it is malformed (`1.2.3`) or not below 10^9.
    fn digits(&mut self) -> Option<Decimal> {
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            let digit_next = self.peek(1).is_some_and(|c| c.is_ascii_digit());
            match c {
                c if c.is_ascii_digit() => text.push(c),
                '.' if digit_next => text.push('.'),
                // A comma groups only three digits: "1,200", but not "1,2".
                ',' if self.groups_three() => {}
                _ => break,
            }
            self.at += 1;
        }
        if text.starts_with('.') {
            text.insert(0, '0');
        }
        text.parse().ok().filter(|value| *value < Decimal::from(1_000_000_000))
    }

    fn groups_three(&self) -> bool {
        (1..=3).all(|ahead| self.peek(ahead).is_some_and(|c| c.is_ascii_digit()))
            && !self.peek(4).is_some_and(|c| c.is_ascii_digit())
    }

    /// `100-200` is a range, `2+` a lower bound, `3-year-old` three words.
    fn after_number(&mut self) {
        let next = self.chars[self.at..].iter().skip_while(|c| **c == ' ').nth(1).copied();
        let mark = self.chars[self.at..].iter().find(|c| **c != ' ').copied();
        if matches!(mark, Some('-' | '–' | '—' | '~'))
            && next.is_some_and(|c| c == '$' || c == ' ' || c.is_ascii_digit())
        {
            self.at += self.chars[self.at..].iter().take_while(|c| **c == ' ').count() + 1;
            self.word("to");
        } else if self.peek(0) == Some('+') {
            self.at += 1;
            self.word("or");
            self.word("more");
        }
    }

    fn letters(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '\u{301}' || c == '\u{308}') {
            self.at += 1;
        }
        let written: String = self.chars[start..self.at].iter().collect();
        let capitalized = written.chars().next().is_some_and(char::is_uppercase);
        let mut text = written.to_lowercase();
        if text == "y" && self.peek(0) == Some('/') && matches!(self.peek(1), Some('o' | 'O')) {
            self.at += 2;
            text = "yo".to_owned();
        }
        if self.peek(0) == Some('\'') && self.peek(1).is_some_and(char::is_alphabetic) {
            let tail: String = self.chars[self.at + 1..].iter().take_while(|c| c.is_alphabetic()).collect();
            if self.contraction(&text, capitalized, &tail.to_lowercase()) {
                self.at += 1 + tail.chars().count();
                return;
            }
            // Other apostrophes ("O'Malley") are dropped.
            self.at += 1 + tail.chars().count();
            text.push_str(&tail.to_lowercase());
        }
        self.push(&text, WordKind::Letters, capitalized);
    }

    /// "isn't" is "is not", "what's" is "what is", "Rex's" is "Rex".
    fn contraction(&mut self, text: &str, capitalized: bool, tail: &str) -> bool {
        match tail {
            "t" if text.len() > 1 && text.ends_with('n') => {
                let verb = match text {
                    "can" => "can",
                    "won" => "will",
                    _ => &text[..text.len() - 1],
                };
                self.push(verb, WordKind::Letters, false);
                self.word("not");
            }
            "s" => {
                self.push(text, WordKind::Letters, capitalized);
                if matches!(text, "what" | "who" | "where" | "there" | "that" | "it" | "she" | "he" | "how") {
                    self.word("is");
                }
            }
            "re" | "m" | "ve" | "ll" | "d" => {
                self.push(text, WordKind::Letters, capitalized);
                match tail {
                    "re" => self.word("are"),
                    "m" => self.word("am"),
                    "ve" => self.word("have"),
                    "ll" => self.word("will"),
                    _ => self.word("would"),
                }
            }
            _ => return false,
        }
        true
    }

    fn symbol(&mut self, c: char) {
        self.at += 1;
        let equal = self.peek(0) == Some('=');
        match c {
            ',' | ';' => self.push(",", WordKind::Comma, false),
            '&' => self.word("and"),
            '/' => self.word("or"),
            '<' | '≤' | '>' | '≥' => {
                let below = matches!(c, '<' | '≤');
                if equal || matches!(c, '≤' | '≥') {
                    self.at += usize::from(equal);
                    self.word("at");
                    self.word(if below { "most" } else { "least" });
                } else {
                    self.word(if below { "under" } else { "over" });
                }
            }
            '€' => self.word("euro"),
            '£' => self.word("pound"),
            '¥' | '₹' | '₿' => self.word("yen"),
            // Arithmetic and percentages are not supported: such a word is in no lexicon.
            '+' | '*' | '=' | '%' | '^' | '\\'
                if c != '*' || self.current.last().is_some_and(|w| matches!(w.kind, WordKind::Number(_))) =>
            {
                self.word(&c.to_string());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        split_sentences(text).iter().map(|s| s.iter().map(|w| w.text.clone()).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn contractions_are_expanded_and_possessives_removed() {
        assert_eq!(texts("What’s Rex's price? They aren't"), ["what is rex price", "they are not"]);
        assert_eq!(texts("I'd like kid-friendly dogs"), ["i would like kid friendly dogs"]);
    }

    #[test]
    fn amounts_and_ranges_are_recognized() {
        assert_eq!(texts("$1,200.50 or 100-200, 2+ years"), ["1200.50 or 100 to 200 , 2 or more years"]);
        assert_eq!(texts("<$200 and >= 3yrs"), ["under 200 and at least 3 yrs"]);
        assert_eq!(texts("$100 - $200"), ["100 to 200"]);
        assert_eq!(texts("3-year-old"), ["3 year old"]);
        assert!(matches!(split_sentences("200$")[0][0].kind, WordKind::Money(_)));
        assert!(matches!(split_sentences("$2k")[0][0].kind, WordKind::Money(v) if v == Decimal::from(2000)));
    }

    #[test]
    fn a_dot_in_a_number_or_abbreviation_does_not_end_the_sentence() {
        assert_eq!(texts("St. Bernard for $149.99."), ["st bernard for 149.99"]);
    }

    #[test]
    fn capitals_are_noted_inside_sentences_unless_all_letters_are_capitals() {
        let capitalized = |text: &str| split_sentences(text)[0].last().unwrap().capitalized;
        assert!(capitalized("about Max"));
        assert!(!capitalized("Max"));
        assert!(!capitalized("ABOUT MAX"));
    }
}
