//! Why the database could not be opened, read or written, and the codes of SQLite and Postgres.

use std::fmt;
use std::path::PathBuf;

use super::fault::DatabaseFault;

/// SQLite's primary result codes (<https://sqlite.org/rescode.html>).
pub(super) const BUSY: u32 = 5;
pub(super) const READ_ONLY: u32 = 8;
pub(super) const IO: u32 = 10;
pub(super) const CORRUPT: u32 = 11;
pub(super) const FULL: u32 = 13;
pub(super) const CANT_OPEN: u32 = 14;
pub(super) const NOT_A_DATABASE: u32 = 26;
/// Codes of a database that can't be written, whatever the statement.
const UNWRITABLE: [u32; 4] = [READ_ONLY, IO, FULL, CANT_OPEN];

/// Codes of Postgres (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), besides those of class 08, of a
/// server that can't be used: no longer the primary, out of connections, starting or stopping.
const UNREACHABLE: [&str; 5] = [READ_ONLY_SERVER, "53300", "57P01", "57P02", "57P03"];
/// A server that can only be read.
const READ_ONLY_SERVER: &str = "25006";
/// Codes of a server that works, where a statement had to wait for too long or lost to another.
const CONTENDED: [&str; 5] = ["25P03", "40001", "40P01", "55P03", "57014"];
/// Codes of a server that is out of disk or memory.
const EXHAUSTED: [&str; 2] = ["53100", "53200"];

/// Why the database could not be opened or used.
#[derive(Debug)]
pub enum StoreError {
    /// The URL has a form that this build does not support.
    Url(String),
    /// The folder of the database file does not exist.
    Folder(PathBuf),
    /// The database in this file could not be opened or migrated; the text has the reason and the remedy.
    Open(PathBuf, String),
    /// A database server that could not be opened or migrated: which one, and the reason with the remedy.
    Server(String, String),
    /// A database server did not answer in time.
    TimedOut,
    /// A database server could not be reached a moment ago; it was not asked again.
    Unreachable,
    /// The connection was lost during a commit: the changes may have been made.
    CommitUnknown,
    /// The database file was removed or replaced while it was open. Nothing was written.
    FileMoved(DatabaseFault),
    /// An error of SQLite or of the connection.
    Database(sqlx::Error),
    /// A row has a value that this version can't read; the text names the column and the row.
    Corrupt(String),
}

impl StoreError {
    /// Whether the database could not be written for a reason that lasts and that the statement did not cause: a full
    /// disk, a read-only file system, a failing disk, a moved file.
    #[must_use]
    pub fn is_unwritable(&self) -> bool {
        matches!(self, Self::FileMoved(_))
            || self.code().is_some_and(|code| UNWRITABLE.contains(&code))
            || self.has_state(&EXHAUSTED)
    }

    /// Whether the database had no connection or lock free within the timeout, so that a retry may succeed.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is_pool_timeout() || self.code() == Some(BUSY) || self.has_state(&CONTENDED)
    }

    /// Whether no connection was free, and none could be made, within the timeout.
    pub(super) const fn is_pool_timeout(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
    }

    /// Whether a database server could not be reached or can't be used. The statement changed nothing, but for
    /// [`StoreError::CommitUnknown`].
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::TimedOut | Self::Unreachable | Self::CommitUnknown => true,
            Self::Database(
                sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed,
            ) => true,
            _ => {
                self.has_state(&UNREACHABLE)
                    || self.state().is_some_and(|state| state.starts_with("08"))
                    || self.is_panic()
            }
        }
    }

    /// Whether a server of Postgres refused to write because it is not, or no longer, the primary.
    pub(super) fn is_read_only_server(&self) -> bool {
        self.has_state(&[READ_ONLY_SERVER])
    }

    /// Whether a server of Postgres ended by this error, such as one without space for its log: it may have committed.
    fn is_panic(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
        error.is_some_and(|error| error.severity() == sqlx::postgres::PgSeverity::Panic)
    }

    fn has_state(&self, states: &[&str]) -> bool {
        self.state().is_some_and(|state| states.contains(&&*state))
    }

    /// Whether a row was refused because a unique index has one with the same values.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    fn code(&self) -> Option<u32> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        result_code(&**error)
    }

    /// The SQLSTATE of an error of Postgres.
    fn state(&self) -> Option<std::borrow::Cow<'_, str>> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
        error.code()
    }
}

/// SQLite's primary result code: the low byte of the extended one; none for an error of another database.
pub(super) fn result_code(error: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse::<u32>().ok().map(|code| code & 0xff)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => {
                write!(f, "database: expected sqlite:PATH, sqlite::memory: or postgres://…, found {url}")
            }
            Self::Folder(path) => {
                write!(f, "database: the folder {} does not exist; create it or choose another path", path.display())
            }
            Self::Open(path, problem) => write!(f, "database: {}: {problem}", path.display()),
            Self::Server(place, problem) => write!(f, "database: {place}: {problem}"),
            Self::TimedOut => f.write_str("database: no answer in time"),
            Self::Unreachable => f.write_str("database: the server can't be reached"),
            Self::CommitUnknown => f.write_str("database: the connection was lost during a commit"),
            Self::FileMoved(fault) => write!(f, "database: {fault}"),
            Self::Database(error) => write!(f, "database: {error}"),
            Self::Corrupt(what) => write!(f, "database: a row can't be read: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_a_connection_that_times_out_is_busy() {
        let error = StoreError::from(sqlx::Error::PoolTimedOut);
        assert!(error.is_busy() && !error.is_unwritable() && !error.is_unique_violation());
    }
}
