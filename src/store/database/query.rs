//! A statement with its values, and its ways to run.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::error::BoxDynError;
use sqlx::{AssertSqlSafe, Either, Executor as _};

use super::arguments::{Arguments, Bind};
use super::engine::Engine;
use super::executor::Executor;
use super::row::{Column, Row};
use crate::store::error::StoreError;

/// Longest time of one statement on Postgres, the wait for a connection included. A statement of SQLite ends by itself.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows that are read before other tasks of the thread run: about a quarter of a millisecond.
const ROWS_PER_YIELD: usize = 64;

/// A statement that was not run yet.
pub(in crate::store) struct Query<'c> {
    executor: Executor<'c>,
    sql: Cow<'static, str>,
    values: Arguments,
    /// Number of values.
    count: usize,
    /// Why a value could not be encoded.
    failed: Option<BoxDynError>,
}

impl<'c> Executor<'c> {
    /// A statement with this text, which runs here.
    pub(in crate::store) fn query(self, sql: &'static str) -> Query<'c> {
        Query::new(self, sql.into())
    }

    /// A statement whose text was put together from constants; values from outside are bound.
    pub(in crate::store) fn built(self, sql: String) -> Query<'c> {
        Query::new(self, sql.into())
    }
}

/// Rows of a result, and numbers of changed rows.
type Results<'c> = BoxStream<'c, Result<Either<u64, Row>, sqlx::Error>>;

impl<'c> Query<'c> {
    fn new(executor: Executor<'c>, sql: Cow<'static, str>) -> Self {
        let values = Arguments::new(executor.engine());
        Self { executor, sql, values, count: 0, failed: None }
    }

    /// As [`Executor::query`], with the values of all parameters.
    pub(in crate::store) const fn with(executor: Executor<'c>, sql: &'static str, values: Arguments) -> Self {
        Self { executor, sql: Cow::Borrowed(sql), values, count: 0, failed: None }
    }

    pub(in crate::store) const fn engine(&self) -> Engine {
        self.executor.engine()
    }

    /// Binds the next parameter.
    pub(in crate::store) fn bind<T: Bind>(mut self, value: T) -> Self {
        self.add(value);
        self
    }

    /// Binds the next parameter to a text.
    pub(in crate::store) fn bind_text(mut self, text: &str) -> Self {
        self.add_text(text);
        self
    }

    /// Appends to the statement.
    pub(in crate::store) fn push(&mut self, sql: impl std::fmt::Display) -> &mut Self {
        // Writing to a string does not fail.
        let _ = write!(self.sql.to_mut(), "{sql}");
        self
    }

    /// Appends the next parameter, and binds it.
    pub(in crate::store) fn push_bind<T: Bind>(&mut self, value: T) -> &mut Self {
        self.add(value);
        let number = self.count;
        self.push(format_args!("${number}"))
    }

    /// As [`Self::push_bind`], for a text.
    pub(in crate::store) fn push_text(&mut self, text: &str) -> &mut Self {
        self.add_text(text);
        let number = self.count;
        self.push(format_args!("${number}"))
    }

    fn add<T: Bind>(&mut self, value: T) {
        self.count += 1;
        let added = self.values.add(value);
        self.failed = self.failed.take().or(added.err());
    }

    fn add_text(&mut self, text: &str) {
        self.count += 1;
        let added = self.values.add_text(text);
        self.failed = self.failed.take().or(added.err());
    }

    /// Runs the statement; returns the number of changed rows.
    pub(in crate::store) async fn execute(self) -> Result<u64, StoreError> {
        self.run(async |mut results| {
            let mut changed = 0;
            while let Some(result) = results.try_next().await? {
                changed += result.left().unwrap_or_default();
            }
            Ok(changed)
        })
        .await
    }

    /// Runs the statement; returns all rows.
    pub(in crate::store) async fn fetch_all(self) -> Result<Vec<Row>, StoreError> {
        self.run(async |results| Ok(results.try_filter_map(async |result| Ok(result.right())).try_collect().await?))
            .await
    }

    /// Runs a statement with at most one row.
    pub(in crate::store) async fn fetch_optional(self) -> Result<Option<Row>, StoreError> {
        self.run(async |mut results| {
            let mut first = None;
            // To the end, so that the connection is free afterwards.
            while let Some(result) = results.try_next().await? {
                first = first.or(result.right());
            }
            Ok(first)
        })
        .await
    }

    /// Runs a statement with one row.
    pub(in crate::store) async fn fetch_one(self) -> Result<Row, StoreError> {
        self.fetch_optional().await?.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// Runs a statement with one row; returns its first column.
    pub(in crate::store) async fn fetch_value<T: for<'r> Column<'r>>(self) -> Result<T, StoreError> {
        self.fetch_one().await?.get(0)
    }

    /// Runs the statement; returns the first column of all rows.
    pub(in crate::store) async fn fetch_values<T: for<'r> Column<'r>>(self) -> Result<Vec<T>, StoreError> {
        self.fetch_all().await?.iter().map(|row| row.get(0)).collect()
    }

    /// Runs the statement, and calls `visit` with each row until it returns `false`. Other tasks of the thread run after
    /// every 64 rows.
    pub(in crate::store) async fn visit(
        self,
        mut visit: impl FnMut(&Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.run(async |mut results| {
            let mut count = 0_usize;
            while let Some(result) = results.try_next().await? {
                let Either::Right(row) = result else { continue };
                if !visit(&row)? {
                    break;
                }
                count += 1;
                if count.is_multiple_of(ROWS_PER_YIELD) {
                    tokio::task::yield_now().await;
                }
            }
            Ok(())
        })
        .await
    }

    /// Runs the statement in a transaction; rows come as they are read, without a limit of time.
    pub(in crate::store) fn rows(self) -> Result<BoxStream<'c, Result<Row, StoreError>>, StoreError> {
        let rows = self.results()?.try_filter_map(async |result| Ok(result.right()));
        Ok(rows.map_err(StoreError::from).boxed())
    }

    async fn run<T>(self, read: impl AsyncFnOnce(Results<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let health = match self.executor {
            Executor::SqlitePool(_) | Executor::Sqlite(_) => return read(self.results()?).await,
            Executor::PostgresPool(_, health) => {
                health.check()?;
                health
            }
            Executor::Postgres(_, health) => health,
        };
        // Boxed: a future of a connection to Postgres has several kilobytes.
        let timed = tokio::time::timeout(STATEMENT_TIMEOUT, Box::pin(self.run_on_postgres(read))).await;
        let done = timed.unwrap_or(Err(StoreError::TimedOut));
        health.record(&done);
        done
    }

    async fn run_on_postgres<T>(
        self,
        read: impl AsyncFnOnce(Results<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self { executor: Executor::PostgresPool(pool, health), sql, values, count, failed }
                if health.is_pooled() =>
            {
                // A pooler may run the parts of a statement on several connections, but for those of a transaction.
                let mut transaction = pool.begin().await?;
                let executor = Executor::Postgres(&mut transaction, health);
                let done = read(Query { executor, sql, values, count, failed }.results()?).await?;
                transaction.commit().await?;
                Ok(done)
            }
            query => read(query.results()?).await,
        }
    }

    fn results(self) -> Result<Results<'c>, StoreError> {
        let Self { executor, sql, values, failed, .. } = self;
        if let Some(error) = failed {
            return Err(sqlx::Error::Encode(error).into());
        }
        let sql = AssertSqlSafe(sql);
        let sqlite = |result: Either<sqlx::sqlite::SqliteQueryResult, sqlx::sqlite::SqliteRow>| {
            result.map_either(|done| done.rows_affected(), Row::Sqlite)
        };
        let postgres = |result: Either<sqlx::postgres::PgQueryResult, sqlx::postgres::PgRow>| {
            result.map_either(|done| done.rows_affected(), Row::Postgres)
        };
        Ok(match (executor, values) {
            (Executor::SqlitePool(pool), Arguments::Sqlite(values)) => {
                pool.fetch_many(sqlx::query_with(sql, values)).map_ok(sqlite).boxed()
            }
            (Executor::Sqlite(connection), Arguments::Sqlite(values)) => {
                connection.fetch_many(sqlx::query_with(sql, values)).map_ok(sqlite).boxed()
            }
            (Executor::PostgresPool(pool, health), Arguments::Postgres(values)) => {
                let query = sqlx::query_with(sql, *values).persistent(!health.is_pooled());
                pool.fetch_many(query).map_ok(postgres).boxed()
            }
            (Executor::Postgres(connection, health), Arguments::Postgres(values)) => {
                let query = sqlx::query_with(sql, *values).persistent(!health.is_pooled());
                connection.fetch_many(query).map_ok(postgres).boxed()
            }
            (Executor::SqlitePool(_) | Executor::Sqlite(_), Arguments::Postgres(_))
            | (Executor::PostgresPool(..) | Executor::Postgres(..), Arguments::Sqlite(_)) => {
                return Err(StoreError::Corrupt("values of another database".to_owned()));
            }
        })
    }
}
