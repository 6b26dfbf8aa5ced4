//! Secrets: values that are never shown, written in the configuration (usually as `${NAME}`) or in files of their own.
//!
//! No error contains any part of a secret. Files of secrets are reloaded while the server runs, see [`SecretFile`].

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::value::name;
use super::walk::{Section, Walk};
use super::yaml::Value;

/// Shortest secret of an API key; shorter ones can be guessed.
const MIN_KEY_LEN: usize = 4;
/// Longest file of a secret, bytes; a longer one is the wrong file.
const MAX_FILE_LEN: u64 = 64 * 1024;

/// A secret text. `Debug` prints asterisks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: Option<SecretFile>,
}

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self { text, file: None }
    }

    /// The same secret, with the file that it was read from.
    #[must_use]
    pub fn in_file(self, file: Option<SecretFile>) -> Self {
        Self { file, ..self }
    }

    /// The text, for the place where it is used.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The file that it was read from; none: it is in the configuration itself.
    #[must_use]
    pub const fn file(&self) -> Option<&SecretFile> {
        self.file.as_ref()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A file that holds a secret, whose content may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Its path.
    pub path: PathBuf,
    /// The path relative to the working folder, for messages.
    pub shown: String,
    /// The setting that names it, such as `keys[0].key_file`.
    pub setting: String,
}

impl SecretFile {
    /// Reads the secret.
    ///
    /// # Errors
    /// Why it can't be used, without any part of the content.
    pub fn read(&self) -> Result<Secret, String> {
        let text = read_file(&self.path, &self.shown)?;
        check_characters(&text).map(|()| Secret::new(text))
    }
}

/// A secret and its place in the configuration.
pub(super) struct Found {
    /// The file that it was read from, if any.
    pub(super) file: Option<SecretFile>,
    pub(super) text: String,
    pub(super) path: String,
    pub(super) line: u64,
}

/// The setting of a secret.
pub(super) enum SecretSetting {
    Found(Found),
    Absent,
    /// There is one that can't be used; the error has been reported.
    Reported,
}

/// Reads the secret at the key `literal`, or in the file that the key `file` names; to set both is an error.
pub(super) fn read(walk: &mut Walk, section: &mut Section, literal: &'static str, file: &'static str) -> SecretSetting {
    let written = walk.take(section, literal);
    let named = walk.take(section, file);
    let (field, from_file) = match (written, named) {
        (None, None) => return SecretSetting::Absent,
        (Some(_), Some(field)) => {
            walk.error(&field.path, field.node.line, format!("{literal} is set too; keep one of them"));
            return SecretSetting::Reported;
        }
        (Some(field), None) => (field, false),
        (None, Some(field)) => (field, true),
    };
    let line = field.node.line;
    let Some(text) = field.node.value.as_text() else {
        if !matches!(field.node.value, Value::Invalid) {
            walk.error(&field.path, line, format!("expected text, found {}; quote it", field.node.value.kind()));
        }
        return SecretSetting::Reported;
    };
    let named = from_file.then(|| walk.resolve(&field.node.value)).flatten();
    let file = named.map(|(path, shown)| SecretFile { path, shown, setting: field.path.clone() });
    let text = match &file {
        Some(file) => file.read().map(|secret| secret.reveal().to_owned()),
        None => check_characters(text).map(|()| text.to_owned()),
    };
    match text {
        Ok(text) => SecretSetting::Found(Found { file, text, path: field.path, line }),
        Err(problem) => {
            walk.error(&field.path, line, problem);
            SecretSetting::Reported
        }
    }
}

/// The content of the file at `path`, without its last line end; errors name it `shown`.
fn read_file(path: &Path, shown: &str) -> Result<String, String> {
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

/// Checks that a secret can be sent in a header: visible ASCII only.
pub(super) fn check_characters(secret: &str) -> Result<(), String> {
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

/// Checks that the secret of an API key has at least 4 characters.
///
/// # Errors
/// The problem and its remedy.
pub fn check_key_length(secret: &str) -> Result<(), String> {
    let enough = secret.len() >= MIN_KEY_LEN;
    enough.then_some(()).ok_or_else(|| {
        format!("the secret is shorter than {MIN_KEY_LEN} characters; `petstream keys create` makes a good one")
    })
}

/// Reads the path of a PEM file at `key`; checks that it can be read and contains a certificate.
pub(super) fn certificates(walk: &mut Walk, section: &mut Section, key: &'static str) -> Option<PathBuf> {
    let field = walk.take(section, key)?;
    walk.check(&field, name(4096))?;
    let (path, shown) = walk.resolve(&field.node.value)?;
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
    fn only_the_last_line_end_of_a_file_is_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, secret) in [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_file(&path, "secret").unwrap(), secret);
        }
        std::fs::write(&path, "s3cret\n\n").unwrap();
        assert!(check_characters(&read_file(&path, "secret").unwrap()).is_err());
    }

    #[test]
    fn errors_about_files_name_them_and_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| read_file(&folder.path().join(name), name);
        assert!(read("none").unwrap_err().contains("mount the file"));
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        assert!(read("binary").unwrap_err().contains("not text"));
        std::fs::write(folder.path().join("long"), vec![b'x'; 65 * 1024]).unwrap();
        assert!(read("long").unwrap_err().contains("64 KiB"));
    }
}
