//! Usage records, one for each admitted request: terminal state, tokens, and the source of the counts.

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

/// Estimated tokens of the message of [`request`]: four per message, and one per four bytes of text.
const PROMPT: u32 = 4;

/// A server with a database in a file and the model `m` at `upstream`; `more` are settings for the upstream's entry.
async fn recording(upstream: &Upstream, more: &str) -> Server {
    Server::start_on_disk(&one_model(upstream, more)).await
}

fn ask(more: &Value) -> Request {
    Request::chat(&request(more))
}

fn stream() -> Request {
    ask(&json!({"stream": true}))
}

/// The beginning of a stream, with so many tokens.
fn words(count: usize) -> Script {
    (0..count).fold(Script::stream().frame(&first()), |script, _| script.frame(&text("word ")))
}

/// Reads until so many tokens have arrived.
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
