//! Rows on their way into the table: few statements, and few values to bind.
//!
//! To bind a value costs as much as to write it, and most rows of a batch were asked for by the same keys, of the same
//! models, and ended well: what such rows have in common is bound once for many of them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use super::UsageRow;

/// The columns in the table's order, and whether many rows have it in common. Values are bound in this order: first those
/// of each row, then those that are common to them.
const COLUMNS: [(&str, bool); 17] = [
    ("at", false),
    ("id", false),
    ("request_id", false),
    ("key_id", true),
    ("key_name", true),
    ("model", true),
    ("target", true),
    ("attempts", true),
    ("streamed", true),
    ("prompt_tokens", false),
    ("completion_tokens", false),
    ("source", true),
    ("first_token_us", false),
    ("duration_us", false),
    ("terminal", true),
    ("reason", true),
    ("status", true),
];
/// How many columns each row has for itself.
const OWN: usize = 7;
/// Statements for rows that have much in common, the greatest number of rows first. A few sizes, so that each is prepared
/// only once: that takes longer than to write its rows. Several INSERTs go to the database's thread together, since each
/// handing over wakes two threads.
pub(super) static ALIKE: LazyLock<[(usize, String); 3]> =
    LazyLock::new(|| [256, 64, 16].map(|rows| (rows, inserts(rows, 64, Some(rows * OWN)))));
/// Statements for any rows. More than sixteen in one INSERT have more texts than SQLite keeps room for beforehand.
pub(super) static ANY: LazyLock<[(usize, String); 7]> =
    LazyLock::new(|| [256, 64, 16, 8, 4, 2, 1].map(|rows| (rows, inserts(rows, 16, None))));
/// Most groups of rows that are told apart: to find a row's group must stay cheap.
const MOST_GROUPS: usize = 8;

/// What writes `rows`: statements and their values.
pub(super) fn inserts_of(rows: &[UsageRow<'_>]) -> Result<Vec<(&'static str, SqliteArguments)>, BoxDynError> {
    let (groups, mut others) = grouped(rows);
    let (mut all, mut texts) = (Vec::new(), Texts::default());
    for mut group in groups.iter().map(Vec::as_slice) {
        while let Some((sql, some)) = take(&mut group, &*ALIKE) {
            all.push((sql, bind_alike(some, &mut texts)?));
        }
        others.extend(group);
    }
    let mut others = others.as_slice();
    while let Some((sql, some)) = take(&mut others, &*ANY) {
        all.push((sql, bind_any(some, &mut texts)?));
    }
    Ok(all)
}

/// Rows that have much in common, group by group, and those of none of these groups.
fn grouped<'a, 'b>(rows: &'a [UsageRow<'b>]) -> (Vec<Vec<&'a UsageRow<'b>>>, Vec<&'a UsageRow<'b>>) {
    let (mut groups, mut others) = (Vec::<Vec<&UsageRow<'_>>>::new(), Vec::new());
    for row in rows {
        let is_of = |group: &Vec<&UsageRow<'_>>| group.first().is_some_and(|first| first.is_like(row));
        match groups.iter().position(is_of) {
            Some(group) => groups[group].push(row),
            None if groups.len() < MOST_GROUPS => {
                let mut group = Vec::with_capacity(rows.len());
                group.push(row);
                groups.push(group);
            }
            None => others.push(row),
        }
    }
    (groups, others)
}

/// Takes as many of `rows` as one of these statements writes.
fn take<'a, T>(rows: &mut &'a [T], statements: &'static [(usize, String)]) -> Option<(&'static str, &'a [T])> {
    let (size, sql) = statements.iter().find(|(size, _)| *size <= rows.len())?;
    let (some, rest) = rows.split_at_checked(*size)?;
    *rows = rest;
    Some((sql, some))
}

/// The statements that write so many rows, each of them no more than `most`. `common`: the values from there on are those
/// that all of the rows have in common.
fn inserts(rows: usize, most: usize, common: Option<usize>) -> String {
    let row = vec![row(common); rows.min(most)].join(", ");
    let names = COLUMNS.map(|(name, _)| name).join(", ");
    // One that fails need not take back what it has written, since the whole transaction is taken back: otherwise SQLite
    // would keep a journal of each statement.
    let one = format!("INSERT OR FAIL INTO usage ({names}) VALUES {row} ON CONFLICT (at, id) DO NOTHING");
    vec![one; rows.div_ceil(most)].join("; ")
}

fn row(mut common: Option<usize>) -> String {
    let places = COLUMNS.map(|(_, is_common)| match common.as_mut().filter(|_| is_common) {
        Some(number) => {
            *number += 1;
            format!("${number}")
        }
        None => "?".to_owned(),
    });
    format!("({})", places.join(", "))
}

/// The values of rows that have much in common.
fn bind_alike(rows: &[&UsageRow<'_>], texts: &mut Texts) -> Result<SqliteArguments, BoxDynError> {
    let mut values = Values::of(rows.len() * OWN + COLUMNS.len() - OWN, texts);
    for row in rows {
        values.request(row)?;
        values.tokens(row)?;
        values.times(row)?;
    }
    if let Some(row) = rows.first() {
        values.way(row)?;
        values.source(row)?;
        values.end(row)?;
    }
    Ok(values.all)
}

/// The values of any rows, in the order of the columns.
fn bind_any(rows: &[&UsageRow<'_>], texts: &mut Texts) -> Result<SqliteArguments, BoxDynError> {
    let mut values = Values::of(rows.len() * COLUMNS.len(), texts);
    for row in rows {
        values.request(row)?;
        values.way(row)?;
        values.tokens(row)?;
        values.source(row)?;
        values.times(row)?;
        values.end(row)?;
    }
    Ok(values.all)
}

/// Values as they are bound, some columns after the other.
struct Values<'a> {
    all: SqliteArguments,
    texts: &'a mut Texts,
}

impl<'a> Values<'a> {
    fn of(count: usize, texts: &'a mut Texts) -> Self {
        let mut all = SqliteArguments::default();
        all.reserve(count, 0);
        Self { all, texts }
    }

    fn request(&mut self, row: &UsageRow<'_>) -> Result<(), BoxDynError> {
        self.all.add(row.at.as_millisecond())?;
        self.all.add(row.id.as_bytes().to_vec())?;
        self.all.add(row.request_id.map(Arc::clone))
    }

    fn way(&mut self, row: &UsageRow<'_>) -> Result<(), BoxDynError> {
        self.all.add(self.texts.key_id.shared(row.key_id))?;
        self.all.add(self.texts.key.shared(row.key))?;
        self.all.add(self.texts.model.shared(row.model))?;
        self.all.add(row.target.map(|target| self.texts.target.shared(target)))?;
        self.all.add(row.attempts)?;
        self.all.add(row.streamed)
    }

    fn tokens(&mut self, row: &UsageRow<'_>) -> Result<(), BoxDynError> {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.all.add(whole(row.prompt_tokens))?;
        self.all.add(whole(row.completion_tokens))
    }

    fn source(&mut self, row: &UsageRow<'_>) -> Result<(), BoxDynError> {
        self.all.add(row.source.map(|source| self.texts.source.shared(source)))
    }

    fn times(&mut self, row: &UsageRow<'_>) -> Result<(), BoxDynError> {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.all.add(row.first_token.map(micros))?;
        self.all.add(micros(row.duration))
    }

    fn end(&mut self, row: &UsageRow<'_>) -> Result<(), BoxDynError> {
        self.all.add(self.texts.terminal.shared(row.terminal))?;
        self.all.add(row.reason.map(|reason| self.texts.reason.shared(reason)))?;
        self.all.add(row.status)
    }
}

impl UsageRow<'_> {
    /// Whether everything is alike that many rows have in common.
    fn is_like(&self, other: &Self) -> bool {
        self.status == other.status
            && self.streamed == other.streamed
            && self.attempts == other.attempts
            && self.model == other.model
            && self.key_id == other.key_id
            && self.key == other.key
            && self.target == other.target
            && self.terminal == other.terminal
            && self.source == other.source
            && self.reason == other.reason
    }
}

/// The texts of the row before: most are the next one's too, and what is shared need not be copied to be handed over.
#[derive(Default)]
struct Texts {
    key_id: Text,
    key: Text,
    model: Text,
    target: Text,
    source: Text,
    terminal: Text,
    reason: Text,
}

#[derive(Default)]
struct Text(Arc<str>);

impl Text {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if *self.0 != *text {
            self.0 = text.into();
        }
        Arc::clone(&self.0)
    }
}
