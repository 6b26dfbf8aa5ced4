//! Series of usage records: the columns that many records have in common are written once, under a number that the
//! records refer to.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::insert::{NumberedRow, Statements};
use super::row::UsageRow;

/// Most series in the cache, about 20 MB.
const MAX_CACHED: usize = 65_536;

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
    ];
    Statements::new("usage_series", columns, "")
});

/// The numbers of series that are in the database, by their key. It has an entry only if the transaction that wrote it
/// was committed.
#[derive(Debug, Default)]
pub(in crate::store) struct SeriesCache(Mutex<HashMap<Vec<u8>, i64>>);

/// Series that a transaction has written; they enter the cache after its commit.
pub(super) struct NewSeries {
    numbers: HashMap<Vec<u8>, i64>,
    /// The latest day among them.
    day: i64,
}

impl SeriesCache {
    fn map(&self) -> MutexGuard<'_, HashMap<Vec<u8>, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows with the numbers of their series. Writes the series that are new.
    pub(super) async fn resolve<'a>(
        &self,
        rows: &'a [UsageRow<'a>],
        connection: &mut SqliteConnection,
    ) -> Result<(Vec<NumberedRow<'a>>, NewSeries), sqlx::Error> {
        let mut numbered = Vec::<NumberedRow<'_>>::with_capacity(rows.len());
        let (mut new, mut first_rows, mut key) = (HashMap::new(), Vec::new(), Vec::new());
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
                        let number = match first_rows.last() {
                            Some((last, _)) => last + 1,
                            None => next_number(connection).await?,
                        };
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

/// The first number that was never used. No other writer uses one before the transaction ends.
async fn next_number(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'usage_series'";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

fn bind(values: &mut SqliteArguments, (series, row): NumberedRow<'_>) -> Result<(), BoxDynError> {
    values.add(series)?;
    values.add(row.day())?;
    values.add(row.key_id.to_owned())?;
    values.add(row.key.to_owned())?;
    values.add(row.model.to_owned())?;
    values.add(row.target.map(str::to_owned))?;
    values.add(row.attempts)?;
    values.add(row.streamed)?;
    values.add(row.source)?;
    values.add(row.terminal)?;
    values.add(row.reason.map(str::to_owned))?;
    values.add(row.status)?;
    values.add(row.answered.map(str::to_owned))
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
