//! The columns of a usage record that are its own.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::error::BoxDynError;

use super::insert::{NumberedRow, Statements};
use crate::store::database::{Arguments, Executor};
use crate::store::error::StoreError;

pub(super) static REQUESTS: LazyLock<Statements> = LazyLock::new(|| {
    // In the order of `bind`.
    let columns =
        ["at", "id", "series", "request_id", "prompt_tokens", "completion_tokens", "first_token_us", "duration_us"];
    Statements::new("usage_requests", columns, "ON CONFLICT (at, id) DO NOTHING")
});

/// Writes `rows`, except those that were written before.
pub(super) async fn write(rows: &[NumberedRow<'_>], connection: Executor<'_>) -> Result<(), StoreError> {
    REQUESTS.write(rows, connection, bind).await
}

fn bind(values: &mut Arguments, (series, row): NumberedRow<'_>) -> Result<(), BoxDynError> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    values.add(row.at.as_millisecond())?;
    values.add(row.id)?;
    values.add(series)?;
    values.add_optional_text(row.request_id.map(|id| &**id))?;
    values.add(whole(row.prompt_tokens))?;
    values.add(whole(row.completion_tokens))?;
    values.add(row.first_token.map(micros))?;
    values.add(micros(row.duration))
}
