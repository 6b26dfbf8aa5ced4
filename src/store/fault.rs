//! Why the database can't be written, as a reason that lasts.

use std::fmt;
use std::path::PathBuf;

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseFault {
    /// The file of this path was removed or renamed.
    FileRemoved(PathBuf),
    /// Another file took this path.
    FileReplaced(PathBuf),
    /// The database server can't be reached.
    Unreachable,
    /// The last attempt to write failed for a reason that lasts, such as a full disk.
    WriteFailed,
}

impl DatabaseFault {
    /// The reason without file names, for answers to clients without a key.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::FileRemoved(_) => "the database's file was removed or renamed",
            Self::FileReplaced(_) => "the database's file was replaced by another",
            Self::WriteFailed => "the database can't be written",
            Self::Unreachable => "the database server can't be reached",
        }
    }
}

impl fmt::Display for DatabaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = "put it back, or stop the server and start it again";
        match self {
            Self::FileRemoved(path) => {
                write!(f, "{} was removed or renamed while it was in use; {remedy}", path.display())
            }
            Self::FileReplaced(path) => write!(f, "{} was replaced while it was in use; {remedy}", path.display()),
            Self::WriteFailed | Self::Unreachable => f.write_str(self.reason()),
        }
    }
}
