//! Inserting many rows with few prepared statements.

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::row::UsageRow;

/// Most rows of one INSERT. With more, there are more texts than SQLite reserves space for.
const ROWS_PER_INSERT: usize = 64;

/// The number of a series, and a row that belongs to it.
pub(super) type NumberedRow<'a> = (i64, &'a UsageRow<'a>);

/// Statements that insert rows into one table, for a few numbers of rows, so that each statement is prepared once:
/// preparing takes longer than writing its rows. Large ones are several INSERTs in one text, since each call to the
/// database's thread wakes two threads.
pub(super) struct Statements {
    columns: usize,
    /// Numbers of rows and statements, the greatest number first.
    pub(super) sizes: [(usize, String); 7],
}

impl Statements {
    pub(super) fn new<const N: usize>(table: &str, columns: [&str; N], on_conflict: &str) -> Self {
        let row = format!("({})", ["?"; N].join(", "));
        let names = columns.join(", ");
        let sizes = [256, 64, 16, 8, 4, 2, 1].map(|rows: usize| {
            let values = vec![&*row; rows.min(ROWS_PER_INSERT)].join(", ");
            // OR FAIL: a failed statement keeps its rows until the transaction is rolled back, so SQLite needs no
            // journal for each statement.
            let one = format!("INSERT OR FAIL INTO {table} ({names}) VALUES {values} {on_conflict}");
            (rows, vec![one; rows.div_ceil(ROWS_PER_INSERT)].join("; "))
        });
        Self { columns: N, sizes }
    }

    /// Inserts all of `rows`; `bind` binds the columns of one.
    pub(super) async fn write(
        &'static self,
        mut rows: &[NumberedRow<'_>],
        connection: &mut SqliteConnection,
        bind: impl Fn(&mut SqliteArguments, NumberedRow<'_>) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        while let Some((size, sql)) = self.sizes.iter().find(|(size, _)| *size <= rows.len()) {
            let (some, rest) = rows.split_at(*size);
            let mut values = SqliteArguments::default();
            sqlx::Arguments::reserve(&mut values, size * self.columns, 0);
            some.iter().try_for_each(|row| bind(&mut values, *row)).map_err(sqlx::Error::Encode)?;
            sqlx::query_with(&**sql, values).execute(&mut *connection).await?;
            rows = rest;
        }
        Ok(())
    }
}
