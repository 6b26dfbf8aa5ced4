//! Unix sockets with a path: made with their mode and owner, and removed at the end.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// The file of a socket. Dropping it removes the file, unless another process has put its own there.
pub(super) struct UnixPath {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl UnixPath {
    /// Binds a socket at `path`. A socket on which nothing listens, left behind by a process that was killed, is
    /// replaced.
    ///
    /// It gets `mode` and `owner` under another name beside `path` and is then renamed, so that nobody can connect to
    /// it at `path` who may not.
    ///
    /// # Errors
    /// Those of the system; another file or a live socket at `path`; an unknown owner.
    pub(super) fn bind(path: &Path, mode: u32, owner: Option<&str>, backlog: u32) -> Result<(UnixListener, Self)> {
        check_free(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let own = Temporary::bind(&socket, path)?;
        if let Some(owner) = owner {
            let (user, group) = ids(owner)?;
            chown(&own.0, user, group)?;
        }
        std::fs::set_permissions(&own.0, std::fs::Permissions::from_mode(mode))?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        let file = identity(&own.0)?;
        std::fs::rename(&own.0, path)?;
        Ok((UnixListener::from_std(socket.into())?, Self { path: path.to_owned(), file }))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // A file that can't be removed is replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A socket's first name. Dropping it removes the file if it was not renamed.
struct Temporary(PathBuf);

impl Temporary {
    /// Binds `socket` at a random name beside `path`: in containers that share a folder, processes have the same ids.
    fn bind(socket: &Socket, path: &Path) -> Result<Self> {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).map_err(Error::from)?;
        // Short: the length of a socket's path is limited.
        let own = path.with_file_name(format!(".{}", hex::encode(bytes)));
        socket.bind(&SockAddr::unix(&own)?)?;
        Ok(Self(own))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn identity(path: &Path) -> Result<(u64, u64)> {
    path.symlink_metadata().map(|file| (file.dev(), file.ino()))
}

/// Fails if there is a file at `path` that is not an abandoned socket.
fn check_free(path: &Path) -> Result<()> {
    let file = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !file.file_type().is_socket() {
        return Err(Error::new(ErrorKind::AlreadyExists, "there is another file; remove it"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Without waiting where the queue of the other server is full.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        Err(_) | Ok(()) => Err(Error::new(ErrorKind::AddrInUse, "another server listens there")),
    }
}

/// The user and the group of `USER`, `USER:GROUP` or `:GROUP`.
fn ids(owner: &str) -> Result<(Option<u32>, Option<u32>)> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    Ok((
        id("user", user, |name| User::from_name(name).map(|user| user.map(|user| user.uid.as_raw())))?,
        id("group", group, |name| Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw())))?,
    ))
}

/// The number of a user or group, by its name or number; none if it is empty.
fn id(kind: &str, name: &str, find: impl FnOnce(&str) -> nix::Result<Option<u32>>) -> Result<Option<u32>> {
    if name.is_empty() {
        return Ok(None);
    }
    let found = name.parse().map(Some).or_else(|_| find(name))?;
    found.map(Some).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("owner: there is no {kind} {name:?}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn an_abandoned_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.sock");
        // The file of a socket stays when the socket is closed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (listener, bound) = UnixPath::bind(&path, 0o640, None, 8).unwrap();
        assert_eq!(path.symlink_metadata().unwrap().mode() & 0o777, 0o640);
        UnixStream::connect(&path).unwrap();
        let Err(error) = UnixPath::bind(&path, 0o600, None, 8) else { panic!("bound twice") };
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop((listener, bound));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn files_of_others_are_neither_replaced_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.sock");
        std::fs::write(&path, "text").unwrap();
        let Err(error) = UnixPath::bind(&path, 0o600, None, 8) else { panic!("replaced a file") };
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        std::fs::remove_file(&path).unwrap();
        let (_listener, bound) = UnixPath::bind(&path, 0o600, None, 8).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "of another process").unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn owners_are_found_by_name_or_number() {
        assert_eq!(ids("root:0").unwrap(), (Some(0), Some(0)));
        assert_eq!(ids("1000").unwrap(), (Some(1000), None));
        assert_eq!(ids(":root").unwrap(), (None, Some(0)));
        assert!(ids("no-such-user").unwrap_err().to_string().contains("no user \"no-such-user\""));
    }
}
