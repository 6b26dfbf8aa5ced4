//! Usage records, in the form that the checks of a batch use.

use crate::usage_records::{self, Usage};

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
    usage_records::read(database).await.into_iter().map(row).collect()
}

fn row(usage: Usage) -> Row {
    Row {
        request_id: usage.request_id,
        key: usage.key_name,
        model: usage.model,
        target: usage.target,
        attempts: usage.attempts,
        streamed: usage.streamed,
        prompt: usage.prompt_tokens.into(),
        completion: usage.completion_tokens.into(),
        source: usage.source,
        terminal: usage.terminal,
        reason: usage.reason,
        status: usage.status,
    }
}
