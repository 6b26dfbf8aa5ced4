//! Usage records of versions before series, which Postgres has no table for.

use super::series::Unused;
use crate::store::database::{Executor, Row};
use crate::store::error::StoreError;
use crate::store::transaction::WriteTransaction;

/// Records that are read at once.
const BATCH: i64 = 500;

/// Copies the records of the table `usage` to `target`, each with a series of its own; returns their number.
pub(in crate::store) async fn copy_old_usage(
    mut source: Executor<'_>,
    target: &mut WriteTransaction,
) -> Result<u64, StoreError> {
    let (mut unused, mut count) = (Unused::none(), 0);
    loop {
        let sql = "SELECT *, at / 86400000 AS day FROM usage ORDER BY at, id LIMIT $1 OFFSET $2";
        let rows = source.again().query(sql).bind(BATCH).bind(count).fetch_all().await?;
        for row in &rows {
            let series = unused.next(target.connection()).await?;
            copy(row, series, target).await?;
        }
        count += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if rows.is_empty() {
            return Ok(count.unsigned_abs());
        }
    }
}

async fn copy(row: &Row, series: i64, target: &mut WriteTransaction) -> Result<(), StoreError> {
    let number = |column: &str| row.get::<Option<i64>, _>(column);
    let text = |column: &str| row.get::<Option<String>, _>(column);
    let sql = "INSERT INTO usage_series (series, day, key_id, key_name, model, target, attempts, streamed, source, \
               terminal, reason, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let insert = target.connection().query(sql).bind(series).bind(number("day")?).bind(text("key_id")?);
    let insert = insert.bind(text("key_name")?).bind(text("model")?).bind(text("target")?).bind(number("attempts")?);
    let insert = insert.bind(number("streamed")?).bind(text("source")?).bind(text("terminal")?);
    insert.bind(text("reason")?).bind(number("status")?).execute().await?;
    // The series is a number that no other record has, and so a good id.
    let sql = "INSERT INTO usage_requests (at, id, series, request_id, prompt_tokens, completion_tokens, \
               first_token_us, duration_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = target.connection().query(sql).bind(number("at")?).bind(series).bind(series);
    let insert = insert.bind(text("request_id")?).bind(number("prompt_tokens")?).bind(number("completion_tokens")?);
    insert.bind(number("first_token_us")?).bind(number("duration_us")?).execute().await?;
    Ok(())
}
