//! Inserting many rows with few prepared statements.

use std::sync::LazyLock;

use sqlx::error::BoxDynError;

use super::row::UsageRow;
use crate::store::database::{Arguments, Engine, Executor, Query};
use crate::store::error::StoreError;

/// Most rows of one INSERT. With more, there are more texts than SQLite reserves space for.
const ROWS_PER_INSERT: usize = 64;

/// The number of a series, and a row that belongs to it.
pub(super) type NumberedRow<'a> = (i64, &'a UsageRow<'a>);

/// Statements that insert rows into one table, for a few numbers of rows, so that each statement is prepared once:
/// preparing takes longer than writing its rows. Large ones are several INSERTs in one text, since each call to the
/// database's thread wakes two threads. Postgres takes one INSERT in a text, of any length.
pub(super) struct Statements {
    columns: usize,
    /// Numbers of rows and statements, the greatest number first.
    sqlite: Sizes,
    postgres: LazyLock<Sizes, Box<dyn FnOnce() -> Sizes + Send>>,
}

type Sizes = [(usize, String); SIZES.len()];

/// Numbers of rows for which there is a statement, the greatest first.
pub(super) const SIZES: [usize; 7] = [256, 64, 16, 8, 4, 2, 1];

impl Statements {
    pub(super) fn new<const N: usize>(
        table: &'static str,
        columns: [&'static str; N],
        on_conflict: &'static str,
    ) -> Self {
        let row = format!("({})", ["?"; N].join(", "));
        let names = columns.join(", ");
        let sqlite = SIZES.map(|rows: usize| {
            let values = vec![&*row; rows.min(ROWS_PER_INSERT)].join(", ");
            // OR FAIL: a failed statement keeps its rows until the transaction is rolled back, so SQLite needs no
            // journal for each statement.
            let one = format!("INSERT OR FAIL INTO {table} ({names}) VALUES {values} {on_conflict}");
            (rows, vec![one; rows.div_ceil(ROWS_PER_INSERT)].join("; "))
        });
        let numbered = move || {
            SIZES.map(|rows| {
                let row = |row| (1..=N).map(|column| format!("${}", row * N + column)).collect::<Vec<_>>().join(", ");
                let values = (0..rows).map(|number| format!("({})", row(number))).collect::<Vec<_>>().join(", ");
                (rows, format!("INSERT INTO {table} ({names}) VALUES {values} {on_conflict}"))
            })
        };
        Self { columns: N, sqlite, postgres: LazyLock::new(Box::new(numbered)) }
    }

    /// Inserts all of `rows`; `bind` binds the columns of one.
    pub(super) async fn write(
        &'static self,
        mut rows: &[NumberedRow<'_>],
        mut connection: Executor<'_>,
        bind: impl Fn(&mut Arguments, NumberedRow<'_>) -> Result<(), BoxDynError>,
    ) -> Result<(), StoreError> {
        let engine = connection.engine();
        let sizes = match engine {
            Engine::Sqlite => &self.sqlite,
            Engine::Postgres => &*self.postgres,
        };
        while let Some((size, sql)) = sizes.iter().find(|(size, _)| *size <= rows.len()) {
            let (some, rest) = rows.split_at(*size);
            let mut values = Arguments::new(engine);
            values.reserve(size * self.columns);
            some.iter().try_for_each(|row| bind(&mut values, *row)).map_err(sqlx::Error::Encode)?;
            Query::with(connection.again(), sql, values).execute().await?;
            rows = rest;
        }
        Ok(())
    }
}
