//! The walk over the tree: asks for keys one by one, checks each value, collects every error.
//!
//! Asking for a key is what makes it known, so there is no second list of keys that could drift from the first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::value::shown;
use super::yaml::{Entry, Node, Value};

/// What is collected on the way.
pub(super) struct Walk {
    /// The file, as the user named it.
    file: String,
    /// Folder of the file: relative paths in it begin there.
    folder: PathBuf,
    /// Everything that is wrong so far.
    pub(super) errors: Vec<ConfigError>,
    /// Every key asked for so far, as `models[].name`.
    pub(super) known: BTreeSet<String>,
}

/// A value and its path.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) node: Node,
}

/// A mapping of which keys are being asked for.
pub(super) struct Section {
    pub(super) path: String,
    pub(super) line: u64,
    left: Vec<Entry>,
    asked: Vec<&'static str>,
    /// Not to be complained about: it is missing or wrong as a whole.
    silent: bool,
}

impl Walk {
    pub(super) fn new(file: String, folder: PathBuf) -> Self {
        Self { file, folder, errors: Vec::new(), known: BTreeSet::new() }
    }

    /// Where `path`, written in the file, leads; and how it reads from the working folder, for errors.
    pub(super) fn resolve(&self, path: &str) -> (PathBuf, String) {
        let beside = Path::new(&self.file).parent().unwrap_or(Path::new(""));
        (self.folder.join(path), beside.join(path).display().to_string())
    }

    /// Where `line` is.
    pub(super) fn origin(&self, line: u64) -> Origin {
        Origin::File { name: self.file.clone(), line: (line > 0).then_some(line) }
    }

    /// Reports a problem.
    pub(super) fn error(&mut self, path: &str, line: u64, problem: impl Into<String>) {
        let origin = self.origin(line);
        self.errors.push(ConfigError { path: path.to_owned(), problem: problem.into(), origin });
    }

    /// Opens the mapping `field`. One that is missing or no mapping is opened too, as an empty one.
    pub(super) fn section(&mut self, path: &str, field: Option<Field>) -> Section {
        let mut section = Section { path: path.to_owned(), line: 0, left: Vec::new(), asked: Vec::new(), silent: true };
        let Some(field) = field else { return section };
        section.line = field.node.line;
        match field.node.value {
            Value::Map(entries) => {
                section.silent = false;
                section.left = self.without_repeated(path, entries);
            }
            Value::Broken => {}
            other => self.error(path, field.node.line, format!("expected keys and values, found {}", other.kind())),
        }
        section
    }

    fn without_repeated(&mut self, path: &str, entries: Vec<Entry>) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(first) = kept.iter().find(|first| first.key == entry.key) {
                let problem = format!("written twice, first in line {}; keep one", first.line);
                self.error(&join(path, &entry.key), entry.line, problem);
            } else {
                kept.push(entry);
            }
        }
        kept
    }

    /// Takes the value of `key` out of `section`; a key without a value counts as absent.
    pub(super) fn take(&mut self, section: &mut Section, key: &'static str) -> Option<Field> {
        let path = join(&section.path, key);
        self.known.insert(pattern(&path));
        section.asked.push(key);
        let index = section.left.iter().position(|entry| entry.key == key)?;
        let entry = section.left.remove(index);
        let present = !matches!(entry.node.value, Value::Null);
        present.then_some(Field { path, node: entry.node })
    }

    /// The value of `key`, checked by `parse`, which on failure says what was expected.
    pub(super) fn read<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let field = self.take(section, key)?;
        self.check(&field, parse)
    }

    /// As [`Walk::read`], and reports a missing value.
    pub(super) fn require<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let field = self.take(section, key);
        if field.is_none() && !section.silent {
            self.error(&join(&section.path, key), section.line, "missing; write it");
        }
        self.check(&field?, parse)
    }

    /// `field` as `parse` understands it.
    pub(super) fn check<T>(&mut self, field: &Field, parse: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        if matches!(field.node.value, Value::Broken) {
            return None;
        }
        match parse(&field.node.value) {
            Ok(value) => Some(value),
            Err(expected) => {
                let problem = format!("expected {expected}, found {}", shown(&field.node.value));
                self.error(&field.path, field.node.line, problem);
                None
            }
        }
    }

    /// The elements of the list at `key`; none where there is no list. An empty one is reported with
    /// `if_empty`, where that says anything.
    pub(super) fn list(&mut self, section: &mut Section, key: &'static str, if_empty: &str) -> Option<Vec<Field>> {
        let field = self.take(section, key)?;
        match field.node.value {
            Value::List(nodes) if nodes.is_empty() && !if_empty.is_empty() => {
                self.error(&field.path, field.node.line, if_empty);
                None
            }
            Value::List(nodes) => {
                let element = |(index, node)| Field { path: format!("{}[{index}]", field.path), node };
                Some(nodes.into_iter().enumerate().map(element).collect())
            }
            Value::Broken => None,
            other => {
                self.error(&field.path, field.node.line, format!("expected a list, found {}", other.kind()));
                None
            }
        }
    }

    /// Closes `section`: keys that nobody asked for are unknown.
    pub(super) fn finish(&mut self, section: Section) {
        for entry in section.left {
            let hint = match nearest(&entry.key, &section.asked) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("expected one of {}", section.asked.join(", ")),
            };
            self.error(&join(&section.path, &entry.key), entry.line, format!("unknown key; {hint}"));
        }
    }
}

impl Section {
    /// Whether the mapping was there, and a mapping.
    pub(super) const fn is_open(&self) -> bool {
        !self.silent
    }
}

/// The one of `known` that someone who wrote `word` most likely meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&word.to_lowercase(), candidate);
    let near = known.iter().copied().min_by_key(distance)?;
    // A third of the letters may be wrong.
    (distance(&near) <= near.len().div_ceil(3)).then_some(near)
}

/// `key` below `path`. A key that could be a value in the wrong place is not repeated.
pub(super) fn join(path: &str, key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let plain = key.len() <= 24 && !key.starts_with("sk-") && key.chars().all(word);
    let key = if plain { key } else { "…" };
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `models[3].name` -> `models[].name`.
fn pattern(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = (inside || *c == '[') && *c != ']';
            !(inside && c.is_ascii_digit())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed_and_far_ones_are_not() {
        assert_eq!(nearest("upstream", &["name", "upstreams"]), Some("upstreams"));
        assert_eq!(nearest("apikey", &["api_key", "model"]), Some("api_key"));
        assert_eq!(nearest("colour", &["api_key", "model"]), None);
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn patterns_have_no_positions() {
        assert_eq!(pattern("models[12].upstreams[0].base_url"), "models[].upstreams[].base_url");
        assert_eq!(pattern("keys[0].key_sha256"), "keys[].key_sha256");
        assert_eq!(pattern("limits.body"), "limits.body");
    }

    #[test]
    fn a_key_that_could_be_a_secret_is_not_repeated() {
        assert_eq!(join("keys[0]", "sk-verysecret"), "keys[0].…");
    }
}
