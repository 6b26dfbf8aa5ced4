//! A scanner of Rust text for names and punctuation, without comments, strings and numbers: enough for paths and
//! attributes, with line numbers.

/// A name or a punctuation character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword; a raw one without its `r#`.
    Ident(String),
    /// Any other character.
    Punct(char),
}

impl Token {
    pub(super) fn ident(&self) -> Option<&str> {
        match self {
            Self::Ident(name) => Some(name),
            Self::Punct(_) => None,
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.ident() == Some(name)
    }
}

/// The tokens of `text` with their lines, counted from 1.
pub(super) fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut scanner = Scanner { rest: text, line: 1 };
    let mut found = Vec::new();
    while let Some(next) = scanner.rest.chars().next() {
        let line = scanner.line;
        if let Some(length) = blank(scanner.rest) {
            scanner.skip(length);
        } else if next.is_alphabetic() || next == '_' {
            let name = scanner.rest.strip_prefix("r#").unwrap_or(scanner.rest);
            let length = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            found.push((line, Token::Ident(name[..length].to_owned())));
            scanner.skip(scanner.rest.len() - name.len() + length);
        } else {
            if !next.is_whitespace() {
                found.push((line, Token::Punct(next)));
            }
            scanner.skip(next.len_utf8());
        }
    }
    found
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl Scanner<'_> {
    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the comment, literal or lifetime at the beginning of `text`; none where there is none.
fn blank(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let after = &text[prefix..];
    let raw = prefix > 0 && text[..prefix].contains('r');
    if prefix <= 2 && (after.starts_with('"') || raw && after.trim_start_matches('#').starts_with('"')) {
        return Some(prefix + if raw { raw_string(after) } else { quoted(after, '"') });
    }
    if after.starts_with('\'') && (prefix == 0 || text.starts_with("b'")) {
        return Some(prefix + character_or_lifetime(after));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()));
    }
    None
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a quoted text, up to the first mark that is not escaped.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        match c {
            // The first mark counts as escaped.
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = hashes + 1;
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

fn character_or_lifetime(text: &str) -> usize {
    let mut inside = text.chars().skip(1);
    let (first, second) = (inside.next(), inside.next());
    if first == Some('\\') || second == Some('\'') {
        return quoted(text, '\'');
    }
    let name = &text[1..];
    1 + name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len())
}
