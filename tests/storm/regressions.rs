//! Bugs that this test has found, each reduced to one request.

use std::time::Duration;

use serde_json::json;

use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::{first, last, request, text};
use test_support::http::{Connection, Piece, Request};
use test_support::soon;
use test_support::storm::records::Row;
use test_support::storm::records::rows;
use test_support::upstream::{Gate, Script, Upstream};

fn stream() -> Request {
    Request::chat(&request(&json!({"stream": true})))
}

/// Waits for the only record.
async fn record(server: &Server) -> Row {
    let written = async {
        loop {
            if let Some(row) = rows(&server.database()).await.pop() {
                return row;
            }
        }
    };
    soon("a usage record", written).await
}

/// The status in the record must be that of the log, 499; it was 200.
#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_recorded_as_the_log_has_it() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().frame(&first()).frame(&text("a")).wait(&never)]).await;
    let server = Server::start_on_disk(&one_model(&upstream, "")).await;
    let mut connection = server.connect().await;
    assert!(matches!(connection.ask(&stream()).await.piece().await, Piece::Data(_)));
    drop(connection);
    let row = record(&server).await;
    assert_eq!((&*row.terminal, row.status), ("client_gone", 499), "{row:?}");
    server.stop().await;
}

/// As above, for a client that was cut because it read nothing.
#[tokio::test]
async fn a_reader_that_was_cut_is_recorded_as_the_log_has_it() {
    let flood = (0..400).fold(Script::stream(), |script, _| script.frame(&text(&"x".repeat(64 << 10))));
    let upstream = Upstream::start([flood]).await;
    let file = format!("{}limits: {{write_idle: 200ms}}\n", one_model(&upstream, ""));
    let server = Server::start_on_disk(&file).await;
    let mut connection = Connection::open_narrow(server.address, 4096).await;
    connection.send(&stream()).await;
    let row = record(&server).await;
    assert_eq!((&*row.terminal, row.status), ("client_stalled", 499), "{row:?}");
    drop(connection);
    server.stop().await;
}

/// The record named the upstream, but counted no attempt, because it had no outcome yet.
#[tokio::test]
async fn an_attempt_whose_client_left_is_recorded() {
    for streamed in [true, false] {
        let never = Gate::new();
        let upstream = Upstream::start([Script::new().wait(&never)]).await;
        let server = Server::start_on_disk(&one_model(&upstream, "")).await;
        let mut connection = server.connect().await;
        connection.send(&Request::chat(&request(&json!({ "stream": streamed })))).await;
        upstream.request(1).await;
        drop(connection);
        let row = record(&server).await;
        assert_eq!((row.target.is_some(), row.attempts), (true, 1), "{row:?}");
        server.stop().await;
    }
}

/// A reader that reads slowly but steadily must not be cut. The kernel reports a socket as writable only when a third
/// of its buffer is free, some megabytes later: until then the server took this reader for a stalled one.
#[tokio::test]
async fn a_reader_that_takes_a_little_all_the_time_is_not_cut() {
    const PIECES: usize = 150;
    const PACE: Duration = Duration::from_millis(20);
    let flood = (0..800).fold(Script::stream().frame(&first()), |script, _| script.frame(&text(&"x".repeat(16 << 10))));
    let script = flood.frame(&last("stop")).frame("[DONE]").end();
    let upstream = Upstream::start([script]).await;
    let file = format!("{}limits: {{write_idle: 1s}}\n", one_model(&upstream, ""));
    // A balancer would read what this reader does not.
    let server = Server::start_alone(&file).await;
    let mut connection = Connection::open_narrow(server.address, 256 << 10).await;
    let mut answer = connection.ask(&stream()).await;
    let mut pace = tokio::time::interval(PACE);
    for piece in 0..PIECES {
        pace.tick().await;
        assert!(matches!(answer.piece().await, Piece::Data(_)), "cut at piece {piece}");
    }
    let (body, whole) = answer.rest().await;
    assert!(whole, "cut after {PIECES} pieces and {} bytes", body.len());
    drop(connection);
    server.stop().await;
}
