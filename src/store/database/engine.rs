//! The kinds of database.

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Engine {
    Sqlite,
    Postgres,
}
