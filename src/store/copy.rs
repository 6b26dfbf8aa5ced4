//! Copying an SQLite database to an empty Postgres, in one transaction: all of it or nothing.

use std::path::Path;

use futures_util::TryStreamExt as _;

use super::database::{Executor, Query, Row};
use super::epoch::random_epoch;
use super::error::StoreError;
use super::handle::{Backend, Store};
use super::sqlite::{RestoreError, not_in_use};
use super::transaction::WriteTransaction;
use super::usage::{NUMBERS_OF_A_BLOCK, copy_old_usage};

/// Rows of one INSERT: up to 17 values each, far below the limit of 65,535.
const ROWS_PER_INSERT: usize = 500;

/// The columns of a table that have texts, and those that have numbers.
struct Table {
    name: &'static str,
    texts: &'static [&'static str],
    numbers: &'static [&'static str],
}

/// Every table but those of one row, of browsers (their sessions end), and of old usage records.
const TABLES: &[Table] = &[
    Table {
        name: "pets",
        texts: &[
            "id",
            "species",
            "name",
            "breed",
            "size",
            "color",
            "gender",
            "currency",
            "description",
            "status",
            "made_by",
        ],
        numbers: &["age_months", "good_with_kids", "price_e4", "created_at", "updated_at", "version"],
    },
    Table {
        name: "orders",
        texts: &["id", "pet_id", "status", "currency", "made_by"],
        numbers: &["rowid", "price_e4", "created_at", "updated_at", "version"],
    },
    Table {
        name: "api_keys",
        texts: &["id", "name", "hash", "hint", "scopes", "models"],
        numbers: &[
            "requests_per_minute",
            "tokens_per_minute",
            "concurrent_streams",
            "created_at",
            "expires_at",
            "revoked_at",
        ],
    },
    Table { name: "idempotency_keys", texts: &["caller", "key", "request", "answer"], numbers: &["number", "at"] },
    Table {
        name: "events",
        texts: &["topic", "kind", "resource_id", "body"],
        numbers: &["seq", "version", "at", "prev_pets", "prev_orders", "prev_inventory", "prev_notifications"],
    },
    Table {
        name: "usage_series",
        texts: &[
            "key_id",
            "key_name",
            "model",
            "target",
            "source",
            "terminal",
            "reason",
            "answered_model",
            "operation",
        ],
        numbers: &["series", "day", "attempts", "streamed", "status"],
    },
    Table {
        name: "usage_requests",
        texts: &["request_id"],
        numbers: &["at", "id", "series", "prompt_tokens", "completion_tokens", "first_token_us", "duration_us"],
    },
];

/// Why a database was not copied. The target is unchanged.
#[derive(Debug)]
pub enum CopyError {
    /// The source is not SQLite, or the target not Postgres.
    Kinds,
    /// The source is in use.
    InUse(RestoreError),
    /// The target has data, or was seeded by a server.
    NotEmpty,
    /// One of the databases failed.
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for CopyError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl std::fmt::Display for CopyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kinds => f.write_str("only sqlite:PATH can be copied, and only to postgres://…"),
            Self::InUse(error) => error.fmt(f),
            Self::NotEmpty => f.write_str("the target is not empty; name a new database that no server has used"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CopyError {}

/// The numbers of rows that were copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Pets.
    pub pets: u64,
    /// Orders.
    pub orders: u64,
    /// API keys, revoked ones included.
    pub keys: u64,
    /// Events.
    pub events: u64,
    /// Usage records.
    pub usage: u64,
}

impl Store {
    /// Copies everything to `target` but the sessions of browsers. Its event log gets a new epoch.
    ///
    /// # Errors
    /// [`CopyError`]; the target is unchanged then.
    pub async fn copy_to(&self, target: &Self) -> Result<Copied, CopyError> {
        let (Backend::Sqlite(sqlite), Backend::Postgres(_)) = (&*self.backend, &*target.backend) else {
            return Err(CopyError::Kinds);
        };
        let mut reading = sqlite.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = target.begin_write().await?;
        if !is_empty(transaction.connection()).await? {
            return Err(CopyError::NotEmpty);
        }
        let mut copied = Copied::default();
        for table in TABLES {
            let rows = copy_table(Executor::Sqlite(&mut reading), &mut transaction, table).await?;
            match table.name {
                "pets" => copied.pets = rows,
                "orders" => copied.orders = rows,
                "api_keys" => copied.keys = rows,
                "events" => copied.events = rows,
                "usage_requests" => copied.usage = rows,
                _ => {}
            }
        }
        copy_heads(Executor::Sqlite(&mut reading), &mut transaction).await?;
        copied.usage += copy_old_usage(Executor::Sqlite(&mut reading), &mut transaction).await?;
        transaction.commit().await?;
        Ok(copied)
    }
}

/// Fails if a server or another program has the SQLite database of this file open.
///
/// # Errors
/// [`CopyError::InUse`]
pub async fn check_not_in_use(file: &Path) -> Result<(), CopyError> {
    not_in_use(file).await.map_err(CopyError::InUse)
}

async fn is_empty(target: Executor<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM pets) AND NOT EXISTS (SELECT 1 FROM api_keys) \
               AND NOT EXISTS (SELECT 1 FROM usage_requests) AND NOT EXISTS (SELECT 1 FROM orders) \
               AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'pets_seeded_at') \
               AND (SELECT head = 0 FROM event_head)";
    target.query(sql).fetch_value().await
}

async fn copy_table(source: Executor<'_>, target: &mut WriteTransaction, table: &Table) -> Result<u64, StoreError> {
    let Table { name, texts, numbers } = table;
    let columns = [*texts, *numbers].concat().join(", ");
    let mut rows = source.built(format!("SELECT {columns} FROM {name}")).rows()?;
    let (mut batch, mut count) = (Vec::with_capacity(ROWS_PER_INSERT), 0);
    loop {
        let row = rows.try_next().await?;
        let is_last = row.is_none();
        batch.extend(row);
        if batch.len() == ROWS_PER_INSERT || (is_last && !batch.is_empty()) {
            count += batch.len() as u64;
            insert(target.connection(), table, &columns, &batch)?.execute().await?;
            batch.clear();
        }
        if is_last {
            return Ok(count);
        }
    }
}

fn insert<'c>(target: Executor<'c>, table: &Table, columns: &str, rows: &[Row]) -> Result<Query<'c>, StoreError> {
    let mut query = target.built(format!("INSERT INTO {} ({columns}) VALUES ", table.name));
    for (number, row) in rows.iter().enumerate() {
        query.push(if number == 0 { "(" } else { "), (" });
        for (place, column) in table.texts.iter().enumerate() {
            query.push(if place == 0 { "" } else { ", " });
            match row.get::<Option<&str>, _>(*column)? {
                Some(text) => query.push_text(text),
                None => query.push("NULL"),
            };
        }
        for column in table.numbers {
            query.push(", ").push_bind(row.get::<Option<i64>, _>(*column)?);
        }
    }
    query.push(")");
    Ok(query)
}

/// Copies the tables of one row, with a new epoch, and the times and numbers after those that were copied.
async fn copy_heads(mut source: Executor<'_>, target: &mut WriteTransaction) -> Result<(), StoreError> {
    let head = source.again().query("SELECT * FROM event_head").fetch_one().await?;
    let number = |column: &str| head.get::<i64, _>(column);
    let sql = "UPDATE event_head SET epoch = $1, head = $2, pruned = $3, last_pets = $4, last_orders = $5, \
               last_inventory = $6, last_notifications = $7";
    let update = target.connection().query(sql).bind(random_epoch()).bind(number("head")?).bind(number("pruned")?);
    let update = update.bind(number("last_pets")?).bind(number("last_orders")?).bind(number("last_inventory")?);
    update.bind(number("last_notifications")?).execute().await?;
    let version: i64 = source.again().query("SELECT version FROM inventory").fetch_value().await?;
    target.connection().query("UPDATE inventory SET version = $1").bind(version).execute().await?;
    let seeded = source.again().query("SELECT value FROM meta WHERE key = 'pets_seeded_at'").fetch_optional().await?;
    if let Some(seeded) = seeded {
        let insert = target.connection().query("INSERT INTO meta (key, value) VALUES ('pets_seeded_at', $1)");
        insert.bind_text(seeded.get(0)?).execute().await?;
    }
    let series: i64 = source.query("SELECT coalesce(max(series), 0) FROM usage_series").fetch_value().await?;
    let next = (series / NUMBERS_OF_A_BLOCK + 1) * NUMBERS_OF_A_BLOCK + 1;
    target.connection().query("SELECT setval('usage_series_blocks', $1, false)").bind(next).execute().await?;
    Ok(())
}
