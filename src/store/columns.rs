//! Reading the columns of a row, with errors that name the column and the row.

use jiff::Timestamp;
use uuid::Uuid;

use super::database::{Column, Row};
use super::error::StoreError;

/// A row of a table whose key is the column `id`.
pub(super) struct Columns<'r> {
    row: &'r Row,
    /// The resource in the row, for errors.
    resource: &'static str,
    id: &'r str,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r Row, resource: &'static str) -> Self {
        Self { row, resource, id: row.get("id").unwrap_or("?") }
    }

    /// The value of a column after `convert`, which refuses values that this version does not know.
    pub(super) fn read<C, T>(&self, column: &str, convert: impl FnOnce(C) -> Option<T>) -> Result<T, StoreError>
    where
        C: Column<'r>,
    {
        let value = self.row.get(column).ok().and_then(convert);
        value.ok_or_else(|| StoreError::Corrupt(format!("column {column} of {} {}", self.resource, self.id)))
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.read(column, Some)
    }

    pub(super) fn uuid(&self, column: &str) -> Result<Uuid, StoreError> {
        self.read(column, |id: &str| Uuid::try_parse(id).ok())
    }

    /// A time in milliseconds since 1970, UTC.
    pub(super) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.read(column, |at| Timestamp::from_millisecond(at).ok())
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        self.read(column, |number: i64| T::try_from(number).ok())
    }

    /// 0 or 1 and nothing else, because filters compare with these.
    pub(super) fn boolean(&self, column: &str) -> Result<bool, StoreError> {
        self.read(column, |number: i64| match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }
}
