//! Rows on their way into a table: few statements, and few values to bind.

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::UsageRow;

/// Most rows of one INSERT. More have more texts than SQLite keeps room for beforehand.
const MOST: usize = 64;

/// A row, and the number of the series that it is of.
pub(super) type Numbered<'a> = (i64, &'a UsageRow<'a>);

/// What writes rows into a table. A few sizes, so that each is prepared only once: that takes longer than to write its
/// rows. Several INSERTs go to the database's thread together, since each handing over wakes two threads.
pub(super) struct Statements {
    columns: usize,
    /// The greatest number of rows first.
    pub(super) sizes: [(usize, String); 7],
}

impl Statements {
    pub(super) fn new<const N: usize>(table: &str, columns: [&str; N], on_conflict: &str) -> Self {
        let row = format!("({})", ["?"; N].join(", "));
        let names = columns.join(", ");
        let sizes = [256, 64, 16, 8, 4, 2, 1].map(|rows: usize| {
            let values = vec![&*row; rows.min(MOST)].join(", ");
            // One that fails need not take back what it has written, since the whole transaction is taken back:
            // otherwise SQLite would keep a journal of each statement.
            let one = format!("INSERT OR FAIL INTO {table} ({names}) VALUES {values} {on_conflict}");
            (rows, vec![one; rows.div_ceil(MOST)].join("; "))
        });
        Self { columns: N, sizes }
    }

    /// Writes all of `rows`, of each what `bind` binds.
    pub(super) async fn write(
        &'static self,
        mut rows: &[Numbered<'_>],
        connection: &mut SqliteConnection,
        bind: impl Fn(&mut SqliteArguments, Numbered<'_>) -> Result<(), BoxDynError>,
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
