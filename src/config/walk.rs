//! Reads the sections of the tree: takes keys one by one, checks each value, and collects all errors.
//!
//! A key is known because it is read, so that there is no second list of keys to keep in step.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::value::shown;
use super::yaml::{Entry, Node, Value};

/// The state of reading one file.
pub(super) struct Walk {
    /// The file, as the user named it.
    file: String,
    /// The folder of the file, to which paths in it are relative.
    folder: PathBuf,
    /// The errors so far.
    pub(super) errors: Vec<ConfigError>,
    /// All keys that were read so far, as `models[].name`.
    pub(super) known: BTreeSet<String>,
}

/// A value and its path.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) node: Node,
}

/// A mapping whose keys are being read.
pub(super) struct Section {
    pub(super) path: String,
    pub(super) line: u64,
    /// Entries that were not read yet.
    unread: Vec<Entry>,
    /// Keys that were read or looked for.
    expected: Vec<&'static str>,
    /// The mapping is missing or invalid as a whole: missing keys in it are not reported.
    silent: bool,
}

impl Walk {
    pub(super) fn new(file: String, folder: PathBuf) -> Self {
        Self { file, folder, errors: Vec::new(), known: BTreeSet::new() }
    }

    /// Resolves a path of the file; none if `value` is not a text. Also returns it relative to the working folder, for
    /// errors, with variables as they are written: a value in the place of a path may be a secret.
    pub(super) fn resolve(&self, value: &Value) -> Option<(PathBuf, String)> {
        let beside = Path::new(&self.file).parent().unwrap_or(Path::new(""));
        Some((self.in_folder(value.as_text()?), beside.join(value.as_written()?).display().to_string()))
    }

    /// The path of the file `path`, which is relative to the folder of the configuration.
    pub(super) fn in_folder(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// The place of `line`; 0 is the whole file.
    pub(super) fn origin(&self, line: u64) -> Origin {
        Origin::File { name: self.file.clone(), line: (line > 0).then_some(line) }
    }

    /// Reports a problem.
    pub(super) fn error(&mut self, path: &str, line: u64, problem: impl Into<String>) {
        let origin = self.origin(line);
        self.errors.push(ConfigError { path: path.to_owned(), problem: problem.into(), origin });
    }

    /// Begins to read the mapping `field`. If it is missing or not a mapping, the section is empty.
    pub(super) fn section(&mut self, path: &str, field: Option<Field>) -> Section {
        let mut section =
            Section { path: path.to_owned(), line: 0, unread: Vec::new(), expected: Vec::new(), silent: true };
        let Some(field) = field else { return section };
        section.line = field.node.line;
        match field.node.value {
            Value::Map(entries) => {
                section.silent = false;
                section.unread = self.without_duplicates(path, entries);
            }
            Value::Invalid => {}
            other => self.error(path, field.node.line, format!("expected keys and values, found {}", other.kind())),
        }
        section
    }

    fn without_duplicates(&mut self, path: &str, entries: Vec<Entry>) -> Vec<Entry> {
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

    /// Takes the value of `key` from `section`; a key without a value counts as missing.
    pub(super) fn take(&mut self, section: &mut Section, key: &'static str) -> Option<Field> {
        let path = join(&section.path, key);
        self.known.insert(pattern(&path));
        section.expected.push(key);
        let index = section.unread.iter().position(|entry| entry.key == key)?;
        let entry = section.unread.remove(index);
        let present = !matches!(entry.node.value, Value::Null);
        present.then_some(Field { path, node: entry.node })
    }

    /// Reads the value of `key` with `parse`. Its error names what was expected.
    pub(super) fn read<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let field = self.take(section, key)?;
        self.check(&field, parse)
    }

    /// As [`Walk::read`]; a missing value is an error.
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

    /// Parses a value; reports its error.
    pub(super) fn check<T>(&mut self, field: &Field, parse: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        if matches!(field.node.value, Value::Invalid) {
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

    /// The elements of the list at `key`; none without a list. An empty list is an error with the text `if_empty`,
    /// unless that is empty.
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
            Value::Invalid => None,
            other => {
                self.error(&field.path, field.node.line, format!("expected a list, found {}", other.kind()));
                None
            }
        }
    }

    /// Ends `section`: entries that were not read have unknown keys, which is an error.
    pub(super) fn finish(&mut self, section: Section) {
        for entry in section.unread {
            let hint = match nearest(&entry.key, &section.expected) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("expected one of {}", section.expected.join(", ")),
            };
            self.error(&join(&section.path, &entry.key), entry.line, format!("unknown key; {hint}"));
        }
    }
}

impl Section {
    /// Whether the mapping is present and valid.
    pub(super) const fn is_open(&self) -> bool {
        !self.silent
    }
}

/// The one of `known` that is most similar to `word`, if a third of its letters differ at most.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&word.to_lowercase(), candidate);
    let near = known.iter().copied().min_by_key(distance)?;
    (distance(&near) <= near.len().div_ceil(3)).then_some(near)
}

/// The path of `key` below `path`. A key that may be a misplaced secret is replaced by an ellipsis.
pub(super) fn join(path: &str, key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let plain = key.len() <= 24 && !key.starts_with("sk-") && key.chars().all(word);
    let key = if plain { key } else { "…" };
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Removes positions: `models[3].name` becomes `models[].name`.
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
    fn similar_words_are_suggested_and_others_are_not() {
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
    fn a_key_that_may_be_a_secret_is_not_shown() {
        assert_eq!(join("keys[0]", "sk-verysecret"), "keys[0].…");
    }
}
