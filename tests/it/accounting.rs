//! One usage record for each request that was admitted: how it ended, what it used, who counted.

mod budget;
mod endings;
mod reported_usage;
mod sources;

use serde_json::{Value, json};

use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::{first, request, text};
use test_support::http::{Answer, Piece, Request};
use test_support::upstream::{Script, Upstream};
use test_support::usage_records::Usage;

/// Tokens that are reckoned for the one short message of [`request`]: four of each message, and one for four bytes of text.
const PROMPT: u32 = 4;

/// A server that keeps its records, with the model `m` at `upstream`; `more` goes to the upstream's entry.
async fn recording(upstream: &Upstream, more: &str) -> Server {
    Server::start_on_disk(&one_model(upstream, more)).await
}

fn ask(more: &Value) -> Request {
    Request::chat(&request(more))
}

fn stream() -> Request {
    ask(&json!({"stream": true}))
}

/// The beginning of a stream: so many words.
fn words(count: usize) -> Script {
    (0..count).fold(Script::stream().frame(&first()), |script, _| script.frame(&text("word ")))
}

/// Reads until so many words have come.
async fn read_words(answer: &mut Answer<'_>, count: usize) {
    let mut read = Vec::new();
    while read.windows(5).filter(|window| window == b"word ").count() < count {
        let Piece::Data(data) = answer.piece().await else { panic!("only {:?}", String::from_utf8_lossy(&read)) };
        read.extend_from_slice(&data);
    }
}

/// The one record that a server leaves.
async fn only(server: Server) -> Usage {
    let mut records = server.records().await;
    assert_eq!(records.len(), 1, "{records:#?}");
    records.remove(0)
}
