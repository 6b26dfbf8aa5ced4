//! Usage records, read from the view `usage_records` with SQL of the tests.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ColumnIndex, Connection, Decode, FromRow, Row, Type};

/// One row of the view `usage_records`.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    pub request_id: Option<String>,
    pub key_name: String,
    pub operation: String,
    pub model: String,
    pub target: Option<String>,
    pub attempts: u32,
    pub streamed: bool,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub source: Option<String>,
    pub first_token_us: Option<i64>,
    pub duration_us: i64,
    pub terminal: String,
    pub reason: Option<String>,
    pub status: u16,
    pub answered_model: Option<String>,
}

// Written out: the derive would build sqlx and SQLite a second time, for the compiler.
impl<'r, R: Row> FromRow<'r, R> for Usage
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        fn whole<T: TryFrom<i64>>(number: i64) -> T {
            T::try_from(number).ok().unwrap_or_else(|| panic!("{number} is out of range"))
        }
        Ok(Self {
            request_id: row.try_get("request_id")?,
            key_name: row.try_get("key_name")?,
            operation: row.try_get("operation")?,
            model: row.try_get("model")?,
            target: row.try_get("target")?,
            attempts: whole(row.try_get("attempts")?),
            streamed: row.try_get::<i64, _>("streamed")? != 0,
            prompt_tokens: whole(row.try_get("prompt_tokens")?),
            completion_tokens: whole(row.try_get("completion_tokens")?),
            source: row.try_get("source")?,
            first_token_us: row.try_get("first_token_us")?,
            duration_us: row.try_get("duration_us")?,
            terminal: row.try_get("terminal")?,
            reason: row.try_get("reason")?,
            status: whole(row.try_get("status")?),
            answered_model: row.try_get("answered_model")?,
        })
    }
}

/// All records of the database at this URL, in the order in which the requests ended.
pub async fn read(database: &str) -> Vec<Usage> {
    const ALL: &str = "SELECT * FROM usage_records ORDER BY at, id";
    if database.starts_with("postgres:") {
        let mut connection = PgConnection::connect(database).await.unwrap();
        let rows = sqlx::query_as(ALL).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        return rows;
    }
    let mut connection = SqliteConnection::connect(database).await.unwrap();
    let rows = sqlx::query_as(ALL).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

impl Usage {
    /// Prompt tokens, completion tokens and the source of these counts.
    pub fn counts(&self) -> (u32, u32, Option<&str>) {
        (self.prompt_tokens, self.completion_tokens, self.source.as_deref())
    }

    /// Terminal state, reason and status.
    pub fn ending(&self) -> (&str, Option<&str>, u16) {
        (&self.terminal, self.reason.as_deref(), self.status)
    }
}
