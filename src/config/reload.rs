//! How the configuration is read again while the server runs: `reload`, and the section `control`.

use std::path::PathBuf;

use super::database::Database;
use super::value::name;
use super::walk::{Section, Walk};

/// When the file is read again, besides SIGHUP and `petstream reload`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReloadMode {
    /// Only then.
    #[default]
    Manual,
    /// Also when its content has changed, which is checked once a second.
    Watch,
}

/// The values of `reload`.
pub(super) const MODES: &[(&str, ReloadMode)] = &[("manual", ReloadMode::Manual), ("watch", ReloadMode::Watch)];

/// The Unix socket on which `petstream reload` reaches the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ControlSocket {
    /// Beside the file of the database, with `.control` added to its name; none for a database in memory or on a
    /// server.
    #[default]
    BesideDatabase,
    /// None (`none` in the file).
    None,
    /// At this path.
    At(PathBuf),
}

/// Longest path of a Unix socket, bytes: 104 with their end on macOS, 108 on Linux.
const MAX_SOCKET_LEN: usize = 103;

impl ControlSocket {
    /// The path of the socket of a server with this database; none: it has no socket.
    #[must_use]
    pub fn path(&self, database: &Database) -> Option<PathBuf> {
        match self {
            Self::None => None,
            Self::At(path) => Some(path.clone()),
            Self::BesideDatabase => {
                let mut path = database.file()?.into_os_string();
                path.push(".control");
                Some(path.into())
            }
        }
    }
}

/// Reads `control`.
pub(super) fn control(walk: &mut Walk, root: &mut Section) -> ControlSocket {
    let field = walk.take(root, "control");
    let mut section = walk.section("control", field);
    let field = walk.take(&mut section, "socket");
    walk.finish(section);
    let Some(field) = field else { return ControlSocket::default() };
    let Some(written) = walk.check(&field, name(4_096)) else { return ControlSocket::default() };
    if written == "none" {
        return ControlSocket::None;
    }
    let Some((path, shown)) = walk.resolve(&field.node.value) else { return ControlSocket::default() };
    if path.as_os_str().len() > MAX_SOCKET_LEN {
        let problem = format!("{shown} is longer than the {MAX_SOCKET_LEN} bytes of a socket's path; choose another");
        walk.error(&field.path, field.node.line, problem);
    }
    ControlSocket::At(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_beside_the_file_of_the_database() {
        let path = |database: &str| ControlSocket::default().path(&Database::at(database));
        assert_eq!(path("sqlite:petstream.db"), Some("petstream.db.control".into()));
        assert_eq!(path("sqlite:///var/lib/p.db?mode=rwc"), Some("/var/lib/p.db.control".into()));
        for none in ["sqlite::memory:", "sqlite://:memory:", "sqlite:?mode=memory", "postgres://x/y"] {
            assert_eq!(path(none), None, "{none}");
        }
        assert_eq!(ControlSocket::None.path(&Database::at("sqlite:p.db")), None);
        assert_eq!(ControlSocket::At("c".into()).path(&Database::at("sqlite::memory:")), Some("c".into()));
    }
}
