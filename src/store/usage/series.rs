//! What usage records have in common: written once, and known by a number from then on.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::insert::{Numbered, Statements};
use super::{DAY, UsageRow};

/// Most series that are remembered. Some 20 MB.
const MOST: usize = 65_536;

static SERIES: LazyLock<Statements> = LazyLock::new(|| {
    // In the order in which they are bound.
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

/// The series that are in the database, by what is told apart by them.
#[derive(Debug, Default)]
pub(in crate::store) struct SeriesCache(Mutex<HashMap<Vec<u8>, i64>>);

/// Series that are in the database as soon as the transaction is.
pub(super) struct NewSeries {
    names: HashMap<Vec<u8>, i64>,
    /// The last of them.
    day: i64,
}

impl SeriesCache {
    fn map(&self) -> MutexGuard<'_, HashMap<Vec<u8>, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows with the numbers of their series. Those that are new are written.
    pub(super) async fn number<'a>(
        &self,
        rows: &'a [UsageRow<'a>],
        connection: &mut SqliteConnection,
    ) -> Result<(Vec<Numbered<'a>>, NewSeries), sqlx::Error> {
        let mut numbered = Vec::<Numbered<'_>>::with_capacity(rows.len());
        let (mut fresh, mut firsts, mut name) = (HashMap::new(), Vec::new(), Vec::new());
        for row in rows {
            let number = match numbered.last() {
                // Most are of the same as the one before them: to compare is cheaper than to look up.
                Some((number, other)) if row.is_of_one_series_with(other) => *number,
                _ => {
                    row.name_series(&mut name);
                    let known = self.map().get(&name).or_else(|| fresh.get(&name)).copied();
                    if let Some(number) = known {
                        number
                    } else {
                        let number = match firsts.last() {
                            Some((last, _)) => last + 1,
                            None => next(connection).await?,
                        };
                        firsts.push((number, row));
                        fresh.insert(name.clone(), number);
                        number
                    }
                }
            };
            numbered.push((number, row));
        }
        SERIES.write(&firsts, connection, bind).await?;
        let day = firsts.iter().map(|(_, row)| row.day()).max().unwrap_or_default();
        Ok((numbered, NewSeries { names: fresh, day }))
    }

    /// Remembers what is in the database now.
    pub(super) fn remember(&self, fresh: NewSeries) {
        let NewSeries { names, day } = fresh;
        if names.is_empty() {
            return;
        }
        let mut map = self.map();
        if map.len() + names.len() > MOST {
            // Those of yesterday are not needed any more.
            map.retain(|name, _| name.starts_with(&day.to_le_bytes()));
        }
        if map.len() + names.len() > MOST {
            map.clear();
        }
        map.extend(names.into_iter().take(MOST));
    }

    /// Some are in the database no more.
    pub(super) fn forget(&self) {
        self.map().clear();
    }
}

/// The first number that was never given out; nobody else takes one before the transaction ends.
async fn next(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'usage_series'";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

fn bind(values: &mut SqliteArguments, (series, row): Numbered<'_>) -> Result<(), BoxDynError> {
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

impl UsageRow<'_> {
    fn day(&self) -> i64 {
        self.at.as_millisecond().div_euclid(DAY)
    }

    fn is_of_one_series_with(&self, other: &Self) -> bool {
        self.status == other.status
            && self.streamed == other.streamed
            && self.attempts == other.attempts
            && self.key_id == other.key_id
            && self.key == other.key
            && self.model == other.model
            && self.target == other.target
            && self.terminal == other.terminal
            && self.source == other.source
            && self.reason == other.reason
            && self.answered == other.answered
            && self.day() == other.day()
    }

    /// Writes to `name` what tells its series apart: the same for no other.
    fn name_series(&self, name: &mut Vec<u8>) {
        name.clear();
        name.extend_from_slice(&self.day().to_le_bytes());
        name.extend_from_slice(&self.attempts.to_le_bytes());
        name.extend_from_slice(&self.status.to_le_bytes());
        name.push(self.streamed.into());
        let texts = [self.key_id, self.key, self.model, self.terminal].map(Some);
        for text in texts.into_iter().chain([self.target, self.source, self.reason, self.answered]) {
            // Lengths in front, so that no text can be taken for two; none has one that no text has.
            let length = text.map_or(usize::MAX, str::len);
            name.extend_from_slice(&length.to_le_bytes());
            name.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many of one day.
    fn some(day: i64, count: usize) -> NewSeries {
        let name = |number: i64| [day.to_le_bytes(), number.to_le_bytes()].concat();
        NewSeries { names: (0..).take(count).map(|number| (name(number), day)).collect(), day }
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for_and_those_of_today_longest() {
        let known = SeriesCache::default();
        let days = || {
            let mut days: Vec<_> = known.map().values().copied().collect();
            days.sort_unstable();
            (days.len(), days.first().copied(), days.last().copied())
        };
        known.remember(some(1, MOST - 1));
        known.remember(some(2, 1));
        known.remember(some(1, 0));
        assert_eq!(days(), (MOST, Some(1), Some(2)));
        known.remember(some(2, 2));
        assert_eq!(days(), (2, Some(2), Some(2)));
        known.remember(some(2, MOST * 2));
        assert_eq!(days(), (MOST, Some(2), Some(2)));
        known.forget();
        assert_eq!(days(), (0, None, None));
    }
}
