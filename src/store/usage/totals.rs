//! Totals of usage, grouped by key, model and day.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::row::DAY_MILLIS;
use crate::store::database::Row;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// A column by which totals are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageColumn {
    /// The key, by its id.
    Key,
    /// The requested model.
    Model,
    /// The operation that was asked for.
    Operation,
    /// The model that the answer names.
    Answered,
    /// The UTC day on which requests ended.
    Day,
}

/// Totals over some requests. Token totals stop at `u64::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageCounts {
    /// All requests, whatever their end.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests whose client left before the end.
    pub client_gone: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of completions.
    pub completion_tokens: u64,
    /// Requests whose counts are the upstream's final ones.
    pub exact: u64,
    /// Requests whose counts are the last that the upstream sent before the answer was cut off.
    pub running: u64,
    /// Requests whose tokens this server counted.
    pub counted: u64,
    /// Requests whose tokens were estimated. The rest of `requests` had nothing to count.
    pub estimated: u64,
}

/// The totals of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageGroup {
    /// Id and name of the key, if grouped by key.
    pub key: Option<(String, String)>,
    /// The requested model, if grouped by it.
    pub model: Option<String>,
    /// The operation that was asked for, if grouped by it.
    pub operation: Option<String>,
    /// The model that the answer names, if grouped by it; `Some(None)` if there was no answer or it names none.
    pub answered: Option<Option<String>>,
    /// The UTC day, if grouped by day.
    pub day: Option<Date>,
    /// The totals.
    pub counts: UsageCounts,
}

impl Store {
    /// Totals over the requests that ended at `since` or later and before `until` (`None`: no bound), one for each
    /// group that has a request, ordered by the columns of `by`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn usage(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        by: &[UsageColumn],
    ) -> Result<Vec<UsageGroup>, StoreError> {
        let query = self
            .reader()
            .built(totals_sql(by))
            .bind(since.map_or(i64::MIN, Timestamp::as_millisecond))
            .bind(until.map_or(i64::MAX, Timestamp::as_millisecond));
        let rows = query.fetch_all().await?;
        let groups: Vec<_> = rows.iter().map(|row| group_of(row, by)).collect::<Result<_, _>>()?;
        // Without columns to group by, SQL returns a row even if there are no requests.
        Ok(groups.into_iter().filter(|group| group.counts.requests > 0).collect())
    }
}

impl UsageCounts {
    /// Adds the totals of `other`.
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

/// The statement of [`Store::usage`].
pub(super) fn totals_sql(by: &[UsageColumn]) -> String {
    let selected = |column: &UsageColumn| match column {
        UsageColumn::Key => "key_name, key_id, ".to_owned(),
        UsageColumn::Model => "model, ".to_owned(),
        UsageColumn::Operation => "operation, ".to_owned(),
        UsageColumn::Answered => "answered_model, ".to_owned(),
        UsageColumn::Day => format!("at / {DAY_MILLIS} AS day, "),
    };
    let name = |column: &UsageColumn| match column {
        UsageColumn::Key => "key_name, key_id",
        UsageColumn::Model => "model",
        UsageColumn::Operation => "operation",
        UsageColumn::Answered => "answered_model",
        UsageColumn::Day => "day",
    };
    let columns: String = by.iter().map(selected).collect();
    let names = by.iter().map(name).collect::<Vec<_>>().join(", ");
    // Postgres sorts NULL last otherwise, and SQLite first.
    let order = names.replace("answered_model", "answered_model NULLS FIRST");
    let grouped = if by.is_empty() { String::new() } else { format!("GROUP BY {names} ORDER BY {order}") };
    // SQLite refuses a sum beyond 64 bits, and one upstream that reports absurd numbers must not make the totals
    // unreadable. So the upper and lower halves are summed up separately, which fits for two thousand million rows.
    format!(
        "SELECT {columns} count(*) AS requests, \
         count(*) FILTER (WHERE terminal NOT IN ('completed', 'client_gone', 'client_stalled')) AS failed, \
         count(*) FILTER (WHERE terminal IN ('client_gone', 'client_stalled')) AS client_gone, \
         CAST(sum(prompt_tokens >> 32) AS BIGINT) AS prompt_high, \
         CAST(sum(prompt_tokens & 4294967295) AS BIGINT) AS prompt_low, \
         CAST(sum(completion_tokens >> 32) AS BIGINT) AS completion_high, \
         CAST(sum(completion_tokens & 4294967295) AS BIGINT) AS completion_low, \
         count(*) FILTER (WHERE source = 'exact') AS exact, \
         count(*) FILTER (WHERE source = 'running') AS running, \
         count(*) FILTER (WHERE source = 'counted') AS counted, \
         count(*) FILTER (WHERE source = 'estimated') AS estimated \
         FROM usage_records WHERE at >= $1 AND at < $2 {grouped}"
    )
}

fn group_of(row: &Row, by: &[UsageColumn]) -> Result<UsageGroup, StoreError> {
    let whole = |column: &str| -> Result<u64, StoreError> {
        let number: Option<i64> = row.get(column)?;
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
            UsageColumn::Key => group.key = Some((row.get("key_id")?, row.get("key_name")?)),
            UsageColumn::Model => group.model = Some(row.get("model")?),
            UsageColumn::Operation => group.operation = Some(row.get("operation")?),
            UsageColumn::Answered => group.answered = Some(row.get("answered_model")?),
            UsageColumn::Day => group.day = Some(day(row.get("day")?)?),
        }
    }
    Ok(group)
}

fn day(number: i64) -> Result<Date, StoreError> {
    let first = Timestamp::from_millisecond(number.saturating_mul(DAY_MILLIS));
    let first = first.map_err(|error| StoreError::Corrupt(format!("a day of usage: {error}")))?;
    Ok(first.to_zoned(TimeZone::UTC).date())
}
