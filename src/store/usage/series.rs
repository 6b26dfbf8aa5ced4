//! Series of usage records: the columns that many records have in common are written once, under a number that the
//! records refer to.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use sqlx::error::BoxDynError;

use super::insert::{NumberedRow, Statements};
use super::row::UsageRow;
use crate::store::database::{Arguments, Engine, Executor};
use crate::store::error::StoreError;

/// Most series in the cache, about 20 MB.
const MAX_CACHED: usize = 65_536;

/// Numbers that one value of Postgres's sequence stands for, as its migration says.
pub(in crate::store) const NUMBERS_OF_A_BLOCK: i64 = 4_096;

static SERIES: LazyLock<Statements> = LazyLock::new(|| {
    // In the order of `bind`.
    let columns = [
        "series",
        "day",
        "key_id",
        "key_name",
        "model",
        "target",
        "attempts",
        "streamed",
        "source",
        "terminal",
        "reason",
        "status",
        "answered_model",
        "operation",
    ];
    Statements::new("usage_series", columns, "")
});

/// The numbers of series that are in the database, by their key. It has an entry only if the transaction that wrote it
/// was committed.
#[derive(Debug, Default)]
pub(in crate::store) struct SeriesCache {
    // std Mutex: never held across .await
    numbers: Mutex<HashMap<Vec<u8>, i64>>,
    /// Held by the writer of series until they are in the cache.
    writing: tokio::sync::Mutex<()>,
}

/// Series that a transaction has written; they enter the cache after its commit.
pub(super) struct NewSeries {
    numbers: HashMap<Vec<u8>, i64>,
    /// The latest day among them.
    day: i64,
}

impl SeriesCache {
    fn map(&self) -> MutexGuard<'_, HashMap<Vec<u8>, i64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to write or delete series.
    pub(super) async fn writing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// The rows with the numbers of their series. Writes the series that are new.
    pub(super) async fn resolve<'a>(
        &self,
        rows: &'a [UsageRow<'a>],
        mut connection: Executor<'_>,
    ) -> Result<(Vec<NumberedRow<'a>>, NewSeries), StoreError> {
        let mut numbered = Vec::<NumberedRow<'_>>::with_capacity(rows.len());
        let (mut new, mut first_rows, mut key) = (HashMap::new(), Vec::new(), Vec::new());
        let mut unused = Unused::none();
        for row in rows {
            let number = match numbered.last() {
                // Most rows belong to the series of the row before; a comparison is cheaper than a look-up.
                Some((number, other)) if row.same_series(other) => *number,
                _ => {
                    row.write_series_key(&mut key);
                    let known = self.map().get(&key).or_else(|| new.get(&key)).copied();
                    if let Some(number) = known {
                        number
                    } else {
                        let number = unused.next(connection.again()).await?;
                        first_rows.push((number, row));
                        new.insert(key.clone(), number);
                        number
                    }
                }
            };
            numbered.push((number, row));
        }
        SERIES.write(&first_rows, connection, bind).await?;
        let day = first_rows.iter().map(|(_, row)| row.day()).max().unwrap_or_default();
        Ok((numbered, NewSeries { numbers: new, day }))
    }

    /// Adds series that were committed.
    pub(super) fn add(&self, new: NewSeries) {
        let NewSeries { numbers, day } = new;
        if numbers.is_empty() {
            return;
        }
        let mut map = self.map();
        if map.len() + numbers.len() > MAX_CACHED {
            // Series of earlier days are not needed any more.
            map.retain(|key, _| key.starts_with(&day.to_le_bytes()));
        }
        if map.len() + numbers.len() > MAX_CACHED {
            map.clear();
        }
        map.extend(numbers.into_iter().take(MAX_CACHED));
    }

    /// Empties the cache, after series were deleted from the database.
    pub(super) fn clear(&self) {
        self.map().clear();
    }
}

/// Numbers that were never used, and that no other writer uses.
pub(super) struct Unused {
    next: i64,
    left: i64,
}

impl Unused {
    /// None yet.
    pub(super) const fn none() -> Self {
        Self { next: 0, left: 0 }
    }

    pub(super) async fn next(&mut self, connection: Executor<'_>) -> Result<i64, StoreError> {
        if self.left == 0 {
            let (sql, left) = match connection.engine() {
                // No other writer takes one before the transaction ends.
                Engine::Sqlite => {
                    ("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'usage_series'", i64::MAX)
                }
                Engine::Postgres => ("SELECT nextval('usage_series_blocks')", NUMBERS_OF_A_BLOCK),
            };
            (self.next, self.left) = (connection.query(sql).fetch_value().await?, left);
        }
        self.left -= 1;
        self.next += 1;
        Ok(self.next - 1)
    }
}

fn bind(values: &mut Arguments, (series, row): NumberedRow<'_>) -> Result<(), BoxDynError> {
    values.add(series)?;
    values.add(row.day())?;
    values.add_text(row.key_id)?;
    values.add_text(row.key)?;
    values.add_text(row.model)?;
    values.add_optional_text(row.target)?;
    values.add(i64::from(row.attempts))?;
    values.add(i64::from(row.streamed))?;
    values.add(row.source)?;
    values.add(row.terminal)?;
    values.add_optional_text(row.reason)?;
    values.add(i64::from(row.status))?;
    values.add_optional_text(row.answered)?;
    values.add_text(row.operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` series of one day.
    fn some(day: i64, count: usize) -> NewSeries {
        let key = |number: i64| [day.to_le_bytes(), number.to_le_bytes()].concat();
        NewSeries { numbers: (0..).take(count).map(|number| (key(number), day)).collect(), day }
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_series_of_today_longest() {
        let cache = SeriesCache::default();
        let days = || {
            let mut days: Vec<_> = cache.map().values().copied().collect();
            days.sort_unstable();
            (days.len(), days.first().copied(), days.last().copied())
        };
        cache.add(some(1, MAX_CACHED - 1));
        cache.add(some(2, 1));
        cache.add(some(1, 0));
        assert_eq!(days(), (MAX_CACHED, Some(1), Some(2)));
        cache.add(some(2, 2));
        assert_eq!(days(), (2, Some(2), Some(2)));
        cache.add(some(2, MAX_CACHED * 2));
        assert_eq!(days(), (MAX_CACHED, Some(2), Some(2)));
        cache.clear();
        assert_eq!(days(), (0, None, None));
    }
}
