//! The file that keeps the secret of the first key.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::wire::api_key::{SECRET_LEN, is_secret, may_begin_secret};

/// Mode of the file: for its owner only.
const PRIVATE_MODE: u32 = 0o600;
/// The permissions of group and others to write.
const OTHERS_WRITE: u32 = 0o022;

/// The secret in `file`: the one that is there already, else `new`, which is durable there when this returns. `owner` is
/// the user whose file is trusted.
///
/// The caller holds a lock that excludes other processes. So a file that ends within a secret is what a start that was
/// interrupted has left: its key can't have been stored, and the file is made again. Any other file is left alone.
///
/// # Errors
/// Why the file can't be used or made, and what to do.
pub(super) fn secret_in(file: &Path, owner: Option<u32>, new: String) -> Result<String, String> {
    let unwritable = |error: io::Error| format!("{error}; let this user write its folder");
    match existing(file, owner).map_err(|problem| format!("{problem}; move it away"))? {
        None => {}
        Some(text) if is_secret(&text) => return Ok(text),
        Some(_) => std::fs::remove_file(file).map_err(unwritable)?,
    }
    // Fails if the file is there, so nothing is overwritten, whatever has happened meanwhile.
    let created = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(file).map_err(unwritable)?;
    if let Err(error) = write(created, file, &new) {
        let _ = std::fs::remove_file(file);
        return Err(unwritable(error));
    }
    Ok(new)
}

/// The text of the file if it is a secret, or the beginning of one. None: there is no file.
fn existing(file: &Path, owner: Option<u32>) -> Result<Option<String>, String> {
    // A link could lead to a secret that somebody else knows, and opening a pipe would wait.
    match file.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err("there is something that is not a file".to_owned()),
        Err(error) => return Err(error.to_string()),
    }
    let opened = File::open(file).map_err(|error| error.to_string())?;
    let found = opened.metadata().map_err(|error| error.to_string())?;
    // Somebody else could have put a secret there that he knows.
    if owner.is_some_and(|owner| owner != found.uid()) || found.mode() & OTHERS_WRITE != 0 {
        return Err("a file is there that others than the owner of the database may have written".to_owned());
    }
    let mut text = Vec::new();
    opened.take(SECRET_LEN as u64 + 2).read_to_end(&mut text).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).unwrap_or_default();
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let is_ours = is_secret(line) || may_begin_secret(&text) && found.len() == text.len() as u64;
    is_ours
        .then(|| Some(line.to_owned()))
        .ok_or_else(|| "a file is there that does not hold a key as petstream makes them".to_owned())
}

fn write(mut created: File, file: &Path, secret: &str) -> io::Result<()> {
    // The process's umask may have taken bits from the mode.
    created.set_permissions(Permissions::from_mode(PRIVATE_MODE))?;
    created.write_all(format!("{secret}\n").as_bytes())?;
    created.sync_all()?;
    // The entry in the folder has to be durable too.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::api_key::new_secret;

    fn secret(file: &Path, owner: u32) -> String {
        secret_in(file, Some(owner), new_secret().unwrap()).unwrap()
    }

    fn problem(file: &Path, owner: u32) -> String {
        secret_in(file, Some(owner), new_secret().unwrap()).unwrap_err()
    }

    #[test]
    fn a_file_is_made_once_and_only_its_owner_may_use_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("petstream.key");
        let owner = folder.path().metadata().unwrap().uid();
        let secret = secret(&file, owner);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{secret}\n"));
        assert_eq!(file.metadata().unwrap().mode() & 0o777, PRIVATE_MODE);
        assert_eq!(self::secret(&file, owner), secret, "the start before ended before the key was stored");
    }

    #[test]
    fn the_beginning_of_a_secret_is_left_of_an_interrupted_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("petstream.key");
        let owner = folder.path().metadata().unwrap().uid();
        for left in ["", "sk-pet", "sk-petstream-", "sk-petstream-0123456789abcdef"] {
            std::fs::write(&file, left).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(PRIVATE_MODE)).unwrap();
            let secret = secret(&file, owner);
            assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{secret}\n"), "{left:?}");
            std::fs::remove_file(&file).unwrap();
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_neither_used_nor_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("petstream.key");
        let owner = folder.path().metadata().unwrap().uid();
        let secret = new_secret().unwrap();
        std::fs::write(&file, &secret).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o620)).unwrap();
        assert!(problem(&file, owner).contains("may have written; move it away"));
        std::fs::set_permissions(&file, Permissions::from_mode(PRIVATE_MODE)).unwrap();
        assert!(problem(&file, owner + 1).contains("may have written; move it away"));
        assert_eq!(self::secret(&file, owner), secret);

        for text in ["another key", &format!("{secret}0"), &format!("{secret}\n\n\n"), "\n", "sk-petstream-x"] {
            std::fs::write(&file, text).unwrap();
            assert!(problem(&file, owner).contains("does not hold a key"), "{text:?}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        std::fs::remove_file(&file).unwrap();
        std::fs::write(folder.path().join("other"), &secret).unwrap();
        std::os::unix::fs::symlink("other", &file).unwrap();
        assert!(problem(&file, owner).contains("not a file"));
        let nowhere = folder.path().join("no/petstream.key");
        assert!(problem(&nowhere, owner).contains("let this user write its folder"));
    }
}
