//! Secrets: written in the file (usually as `${NAME}`), or in a file of their own.
//!
//! No error here repeats any part of one. A file is read again while the server runs, see [`SecretFile`].

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Secret;
use super::value::name;
use super::walk::{Section, Walk};
use super::yaml::Value;

/// Shortest secret of a key that callers show: below, it can be guessed.
pub(super) const SHORTEST_KEY: usize = 4;
/// Longest secret file; anything longer is the wrong file.
const MAX_FILE_LEN: u64 = 64 * 1024;

/// A file that holds a secret, and may hold another one later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Where it is.
    pub path: PathBuf,
    /// How the path reads in the configuration's terms, for the log.
    pub shown: String,
    /// The setting that names it, such as `keys[0].key_file`.
    pub setting: String,
}

impl SecretFile {
    /// What it holds now.
    ///
    /// # Errors
    /// Why it can't be used, without any part of it.
    pub fn read(&self) -> Result<Secret, String> {
        let text = from(&self.path, &self.shown)?;
        visible(&text).map(|()| Secret::new(text))
    }
}

/// A secret and where it was written.
pub(super) struct Found {
    /// The file that holds it; none: it is written where it is used.
    pub(super) file: Option<SecretFile>,
    pub(super) text: String,
    pub(super) path: String,
    pub(super) line: u64,
}

/// What came of looking for a secret.
pub(super) enum Outcome {
    Found(Found),
    Absent,
    /// There is one, but it can't be used; that is reported already.
    Reported,
}

/// Reads the secret at `literal` or in the file named at `file`; both is an error.
pub(super) fn read(walk: &mut Walk, section: &mut Section, literal: &'static str, file: &'static str) -> Outcome {
    let written = walk.take(section, literal);
    let named = walk.take(section, file);
    let (field, from_file) = match (written, named) {
        (None, None) => return Outcome::Absent,
        (Some(_), Some(field)) => {
            walk.error(&field.path, field.node.line, format!("{literal} is set too; keep one of them"));
            return Outcome::Reported;
        }
        (Some(field), None) => (field, false),
        (None, Some(field)) => (field, true),
    };
    let line = field.node.line;
    let Some(text) = field.node.value.as_text() else {
        if !matches!(field.node.value, Value::Broken) {
            walk.error(&field.path, line, format!("expected text, found {}; quote it", field.node.value.kind()));
        }
        return Outcome::Reported;
    };
    let file = from_file.then(|| {
        let (file, shown) = walk.resolve(text);
        SecretFile { path: file, shown, setting: field.path.clone() }
    });
    let text = match &file {
        Some(file) => file.read().map(|secret| secret.reveal().to_owned()),
        None => visible(text).map(|()| text.to_owned()),
    };
    match text {
        Ok(text) => Outcome::Found(Found { file, text, path: field.path, line }),
        Err(problem) => {
            walk.error(&field.path, line, problem);
            Outcome::Reported
        }
    }
}

/// The content of the secret file at `path`, without its last newline; errors call it `shown`.
fn from(path: &Path, shown: &str) -> Result<String, String> {
    let unreadable = |error| format!("can't read {shown}: {error}; mount the file or correct the path");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_LEN {
        return Err(format!("{shown} is longer than 64 KiB; is it the right file?"));
    }
    let text = String::from_utf8(text).map_err(|_| format!("{shown} is not text; is it the right file?"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Whether `secret` can stand in a header.
pub(super) fn visible(secret: &str) -> Result<(), String> {
    if secret.is_empty() {
        return Err("the secret is empty; write it, or leave the key out".to_owned());
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "the secret has characters other than visible ASCII (a blank, a line break?); correct it".to_owned()
        );
    }
    Ok(())
}

/// Whether `secret` is long enough to be asked of callers.
///
/// # Errors
/// Why it is not.
pub fn long_enough(secret: &str) -> Result<(), String> {
    let enough = secret.len() >= SHORTEST_KEY;
    enough.then_some(()).ok_or_else(|| {
        format!("the secret is shorter than {SHORTEST_KEY} characters; `petstream keys create` makes a good one")
    })
}

/// Checks that the PEM file at `key` can be read and holds a certificate; gives its path.
pub(super) fn certificates(walk: &mut Walk, section: &mut Section, key: &'static str) -> Option<PathBuf> {
    let field = walk.take(section, key)?;
    let written = walk.check(&field, name(4096))?;
    let (path, shown) = walk.resolve(&written);
    let problem = match std::fs::read(&path) {
        Ok(text) if text.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") => return Some(path),
        Ok(_) => format!("{shown} holds no certificate; expected a PEM file"),
        Err(error) => format!("can't read {shown}: {error}; mount the file or correct the path"),
    };
    walk.error(&field.path, field.node.line, problem);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_is_trimmed_from_a_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, secret) in [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(from(&path, "secret").unwrap(), secret);
        }
        std::fs::write(&path, "s3cret\n\n").unwrap();
        assert!(visible(&from(&path, "secret").unwrap()).is_err());
    }

    #[test]
    fn wrong_files_are_named_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| from(&folder.path().join(name), name);
        assert!(read("none").unwrap_err().contains("mount the file"));
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        assert!(read("binary").unwrap_err().contains("not text"));
        std::fs::write(folder.path().join("long"), vec![b'x'; 65 * 1024]).unwrap();
        assert!(read("long").unwrap_err().contains("64 KiB"));
    }
}
