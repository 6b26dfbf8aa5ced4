//! Usage records, read from the database by other means than the server's own.

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

/// One row of the view `usage_records`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(crate) struct Usage {
    pub(crate) request_id: Option<String>,
    pub(crate) key_name: String,
    pub(crate) model: String,
    pub(crate) target: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) streamed: bool,
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    pub(crate) source: Option<String>,
    pub(crate) first_token_us: Option<i64>,
    pub(crate) duration_us: i64,
    pub(crate) terminal: String,
    pub(crate) reason: Option<String>,
    pub(crate) status: u16,
    pub(crate) answered_model: Option<String>,
}

/// All records of the database at this address, in the order of the requests' ends.
pub(crate) async fn read(database: &str) -> Vec<Usage> {
    let mut connection = SqliteConnection::connect(database).await.unwrap();
    let rows = sqlx::query_as("SELECT * FROM usage_records ORDER BY at, id").fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

impl Usage {
    /// Prompt tokens, completion tokens, and where they come from.
    pub(crate) fn counts(&self) -> (u32, u32, Option<&str>) {
        (self.prompt_tokens, self.completion_tokens, self.source.as_deref())
    }

    /// How it ended, why, and the status.
    pub(crate) fn ending(&self) -> (&str, Option<&str>, u16) {
        (&self.terminal, self.reason.as_deref(), self.status)
    }
}
