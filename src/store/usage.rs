//! What completion requests used: rows in, sums out.

mod insert;
mod requests;
mod series;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _};

use super::{Store, StoreError};

pub(super) use series::SeriesCache;

/// Milliseconds of a day; UTC as computers count it has no other days.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// One row to be written. Numbers beyond `i64::MAX` are written as that.
#[derive(Clone, Debug)]
pub struct UsageRow<'a> {
    /// When the request ended, kept to the millisecond.
    pub at: Timestamp,
    /// Tells whether a row was written before: random.
    pub id: i64,
    /// As in the log.
    pub request_id: Option<&'a Arc<str>>,
    /// Stable identity of the key.
    pub key_id: &'a str,
    /// Name of the key.
    pub key: &'a str,
    /// Model asked for.
    pub model: &'a str,
    /// Where it was served, if it was.
    pub target: Option<&'a str>,
    /// Attempts at targets.
    pub attempts: u32,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// `exact`, `running`, `counted` or `estimated`; none: nothing to count.
    pub source: Option<&'static str>,
    /// From arrival to the first token, kept to the microsecond.
    pub first_token: Option<Duration>,
    /// From arrival to the end, kept to the microsecond.
    pub duration: Duration,
    /// `completed`, `failed` or `client_gone`.
    pub terminal: &'static str,
    /// Why it failed.
    pub reason: Option<&'a str>,
    /// Status, as in the log.
    pub status: u16,
    /// The model that answered, as the answer names it.
    pub answered: Option<&'a str>,
}

/// What sums are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageColumn {
    /// The key, by its id.
    Key,
    /// The model asked for.
    Model,
    /// The model that answered.
    Answered,
    /// The UTC day on which requests ended.
    Day,
}

/// Sums over some requests. Token sums stop at `u64::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageCounts {
    /// All requests, however they ended.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose client left before the end.
    pub client_gone: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of completions.
    pub completion_tokens: u64,
    /// Requests whose counts are the upstream's final ones.
    pub exact: u64,
    /// Requests whose counts are the last that the upstream sent before the answer was cut.
    pub running: u64,
    /// Requests whose tokens were counted here.
    pub counted: u64,
    /// Requests whose tokens were estimated. What remains of `requests` had nothing to count.
    pub estimated: u64,
}

/// The sums of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageGroup {
    /// Id and name of the key, if keys are told apart.
    pub key: Option<(String, String)>,
    /// The model, if models are told apart.
    pub model: Option<String>,
    /// The model that answered, if those are told apart; none inside: there was no answer, or it did not say.
    pub answered: Option<Option<String>>,
    /// The UTC day, if days are told apart.
    pub day: Option<Date>,
    /// Its sums.
    pub counts: UsageCounts,
}

impl Store {
    /// Writes all of `rows` or, on an error, none; those that were written before stay as they are.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn record_usage(&self, rows: &[UsageRow<'_>]) -> Result<(), StoreError> {
        self.noted(self.write_usage(rows).await)
    }

    async fn write_usage(&self, rows: &[UsageRow<'_>]) -> Result<(), StoreError> {
        // Held to the end: what is known of series is changed by nobody but who has this connection.
        let mut connection = self.writable()?.acquire().await?;
        // At once the only writer: numbers of series are given out.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let (numbered, fresh) = self.series.number(rows, &mut transaction).await?;
        requests::write(&numbered, &mut transaction).await?;
        transaction.commit().await?;
        self.series.remember(fresh);
        Ok(())
    }

    /// Sums over the requests that ended at `since` or later and before `until` (none: no bound), one for each group
    /// that has any, in the order of `by`, the first column first.
    ///
    /// # Errors
    /// Whatever the database says, or a row that can't be read.
    pub async fn usage(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        by: &[UsageColumn],
    ) -> Result<Vec<UsageGroup>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(sums(by)))
            .bind(since.map_or(i64::MIN, Timestamp::as_millisecond))
            .bind(until.map_or(i64::MAX, Timestamp::as_millisecond));
        let rows = query.fetch_all(self.reader()).await?;
        let groups: Vec<_> = rows.iter().map(|row| read(row, by)).collect::<Result<_, _>>()?;
        // Without columns, SQL has a row for nothing too.
        Ok(groups.into_iter().filter(|group| group.counts.requests > 0).collect())
    }

    /// Removes rows older than `before`, the oldest first, until it has removed `limit` (at least 1) or a few more, so
    /// that other writers need not wait for long. Returns how many; fewer than `limit`: there are no more.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn forget_usage(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let left = |removed| Some(i64::from(limit).saturating_sub_unsigned(removed)).filter(|left| *left > 0);
        let mut removed = 0;
        for table in ["usage_requests", "usage"] {
            if let Some(left) = left(removed) {
                removed += self.forget_rows(table, before, left).await?;
            }
        }
        if let Some(left) = left(removed) {
            removed += self.forget_series(before, left).await?;
        }
        Ok(removed)
    }

    async fn forget_rows(&self, table: &'static str, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        // A range of times, and not a list of rows, is removed in one walk; rows of one millisecond go together.
        let sql = format!(
            "DELETE FROM {table} WHERE at < ?1 AND at <= coalesce(\
             (SELECT at FROM {table} WHERE at < ?1 ORDER BY at LIMIT 1 OFFSET ?2), ?1)"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(before.as_millisecond()).bind(limit - 1);
        Ok(query.execute(self.writable()?).await?.rows_affected())
    }

    /// Series go a day later than their last row could have gone: one that is written late finds its series.
    async fn forget_series(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM usage_series WHERE series IN (SELECT series FROM usage_series WHERE day < ? LIMIT ?)";
        let query = sqlx::query(sql).bind(before.as_millisecond().div_euclid(DAY) - 1).bind(limit);
        let mut connection = self.writable()?.acquire().await?;
        let removed = query.execute(&mut *connection).await?.rows_affected();
        if removed > 0 {
            self.series.forget();
        }
        Ok(removed)
    }
}

impl UsageCounts {
    /// Adds `other`'s sums to these.
    pub const fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.client_gone = self.client_gone.saturating_add(other.client_gone);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.exact = self.exact.saturating_add(other.exact);
        self.running = self.running.saturating_add(other.running);
        self.counted = self.counted.saturating_add(other.counted);
        self.estimated = self.estimated.saturating_add(other.estimated);
    }
}

fn sums(by: &[UsageColumn]) -> String {
    let shown = |column: &UsageColumn| match column {
        UsageColumn::Key => "key_name, key_id, ".to_owned(),
        UsageColumn::Model => "model, ".to_owned(),
        UsageColumn::Answered => "answered_model, ".to_owned(),
        UsageColumn::Day => format!("at / {DAY} AS day, "),
    };
    let name = |column: &UsageColumn| match column {
        UsageColumn::Key => "key_name, key_id",
        UsageColumn::Model => "model",
        UsageColumn::Answered => "answered_model",
        UsageColumn::Day => "day",
    };
    let columns: String = by.iter().map(shown).collect();
    let names = by.iter().map(name).collect::<Vec<_>>().join(", ");
    let grouped = if by.is_empty() { String::new() } else { format!("GROUP BY {names} ORDER BY {names}") };
    // SQLite refuses a sum beyond its integers, and one upstream that claims absurd numbers must not make the sums
    // of all others unreadable: the halves of a number can be summed up over two thousand million rows.
    format!(
        "SELECT {columns} count(*) AS requests, \
         count(*) FILTER (WHERE terminal NOT IN ('completed', 'client_gone', 'client_stalled')) AS failed, \
         count(*) FILTER (WHERE terminal IN ('client_gone', 'client_stalled')) AS client_gone, \
         sum(prompt_tokens >> 32) AS prompt_high, sum(prompt_tokens & 0xffffffff) AS prompt_low, \
         sum(completion_tokens >> 32) AS completion_high, sum(completion_tokens & 0xffffffff) AS completion_low, \
         count(*) FILTER (WHERE source = 'exact') AS exact, \
         count(*) FILTER (WHERE source = 'running') AS running, \
         count(*) FILTER (WHERE source = 'counted') AS counted, \
         count(*) FILTER (WHERE source = 'estimated') AS estimated \
         FROM usage_records WHERE at >= ? AND at < ? {grouped}"
    )
}

fn read(row: &SqliteRow, by: &[UsageColumn]) -> Result<UsageGroup, StoreError> {
    let whole = |column: &str| -> Result<u64, StoreError> {
        let number: Option<i64> = row.try_get(column)?;
        u64::try_from(number.unwrap_or(0)).map_err(|_| StoreError::Corrupt(format!("{column} of usage")))
    };
    let tokens = |high: &str, low: &str| -> Result<u64, StoreError> {
        let sum = (u128::from(whole(high)?) << 32) + u128::from(whole(low)?);
        Ok(u64::try_from(sum).unwrap_or(u64::MAX))
    };
    let counts = UsageCounts {
        requests: whole("requests")?,
        failed: whole("failed")?,
        client_gone: whole("client_gone")?,
        prompt_tokens: tokens("prompt_high", "prompt_low")?,
        completion_tokens: tokens("completion_high", "completion_low")?,
        exact: whole("exact")?,
        running: whole("running")?,
        counted: whole("counted")?,
        estimated: whole("estimated")?,
    };
    let mut group = UsageGroup { counts, ..UsageGroup::default() };
    for column in by {
        match column {
            UsageColumn::Key => group.key = Some((row.try_get("key_id")?, row.try_get("key_name")?)),
            UsageColumn::Model => group.model = Some(row.try_get("model")?),
            UsageColumn::Answered => group.answered = Some(row.try_get("answered_model")?),
            UsageColumn::Day => group.day = Some(day(row.try_get("day")?)?),
        }
    }
    Ok(group)
}

fn day(number: i64) -> Result<Date, StoreError> {
    let first = Timestamp::from_millisecond(number.saturating_mul(DAY));
    let first = first.map_err(|error| StoreError::Corrupt(format!("a day of usage: {error}")))?;
    Ok(first.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests;
