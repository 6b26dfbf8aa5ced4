//! Usage records, read from the view `usage_records` with SQL of the tests.

use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};

/// A usage record.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub request_id: Option<String>,
    pub key: String,
    pub model: String,
    pub target: Option<String>,
    pub attempts: u32,
    pub streamed: bool,
    pub prompt: u64,
    pub completion: u64,
    pub source: Option<String>,
    pub terminal: String,
    pub reason: Option<String>,
    pub status: u16,
}

/// All usage records of `database`, the oldest first.
pub async fn rows(database: &str) -> Vec<Row> {
    let pool = SqlitePool::connect(database).await.unwrap();
    let rows = sqlx::query("SELECT * FROM usage_records ORDER BY at, id").fetch_all(&pool).await.unwrap();
    pool.close().await;
    rows.iter().map(row).collect()
}

fn row(row: &SqliteRow) -> Row {
    let whole = |column: &str| u64::try_from(row.get::<i64, _>(column)).unwrap();
    Row {
        request_id: row.get("request_id"),
        key: row.get("key_name"),
        model: row.get("model"),
        target: row.get("target"),
        attempts: row.get("attempts"),
        streamed: row.get("streamed"),
        prompt: whole("prompt_tokens"),
        completion: whole("completion_tokens"),
        source: row.get("source"),
        terminal: row.get("terminal"),
        reason: row.get("reason"),
        status: row.get("status"),
    }
}
