//! Rules for single files, and for the top of the repository.

use super::Source;
use super::tokens::{Token, tokens};

/// Parts of file names that do not describe the content.
const VAGUE_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "managers", "inner", "misc"];

/// Most lines of a file.
const MAX_LINES: usize = 400;

/// The names allowed at the top of the repository, besides those that begin with a dot.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "docs",
    "fixtures",
    "fuzz",
    "package-lock.json",
    "package.json",
    "rustfmt.toml",
    "src",
    "tests",
];

/// The rules for single files that `source` breaks.
pub(super) fn file_violations(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut found = Vec::new();
    let words = path.trim_end_matches(".rs").split(['/', '_']);
    for word in words.filter(|word| VAGUE_NAMES.contains(word)) {
        found.push(format!("{path}: {word} does not say what is inside"));
    }
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{path}: {lines} lines, more than {MAX_LINES}"));
    }
    if !source.text.starts_with("//!") {
        found.push(format!("{path}: does not begin with //! and the purpose of the file"));
    }
    let tokens = tokens(&source.text);
    for (at, (line, token)) in tokens.iter().enumerate() {
        if token.is("allow") && is_attribute(&tokens, at) && !has_reason(&tokens[at..]) {
            found.push(format!("{path}:{line}: an allow without a reason"));
        }
    }
    found
}

/// Whether the name at `at` begins an attribute: `#[name` or `#![name`.
fn is_attribute(tokens: &[(usize, Token)], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).map(|at| &tokens[at].1);
    before(1) == Some(&Token::Punct('['))
        && (before(2) == Some(&Token::Punct('#')) || before(3) == Some(&Token::Punct('#')))
}

fn has_reason(attribute: &[(usize, Token)]) -> bool {
    let inside = attribute.iter().map(|(_, token)| token).take_while(|token| **token != Token::Punct(']'));
    inside.into_iter().any(|token| token.is("reason"))
}

/// Files and folders at the top of the repository that [`TOP`] does not list. `paths` are those of all files.
pub(super) fn top_violations<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut tops: Vec<&str> = paths.into_iter().map(|path| path.split('/').next().unwrap_or(path)).collect();
    tops.sort_unstable();
    tops.dedup();
    let unexpected = tops.into_iter().filter(|top| !top.starts_with('.') && !TOP.contains(top));
    unexpected.map(|top| format!("{top}: is not expected at the top of the repository")).collect()
}
