//! The user that servers run as: some refuse to run as root.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// An unprivileged user.
pub(super) struct User {
    id: u32,
    group: u32,
}

impl User {
    /// The user `postgres` or, where it does not exist, `nobody`. None unless the tests run as root.
    pub(super) fn unprivileged() -> Option<Self> {
        // The owner of an own process' folder is its effective user.
        if std::fs::metadata("/proc/self").expect("Linux").uid() != 0 {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let find = |name: &str| {
            let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let fields = fields.find(|fields| fields[0] == name)?;
            Some(Self { id: fields[2].parse().ok()?, group: fields[3].parse().ok()? })
        };
        Some(find("postgres").or_else(|| find("nobody")).expect("a user `postgres` or `nobody` to run servers as"))
    }

    /// Gives it a file or a folder.
    pub(super) fn own(&self, path: &Path) {
        chown(path, Some(self.id), Some(self.group)).unwrap();
    }

    /// Makes a command run as it.
    pub(super) fn run(&self, command: &mut Command) {
        command.uid(self.id).gid(self.group);
    }
}
