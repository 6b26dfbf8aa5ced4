//! A client that disconnects cancels its upstream request.

use serde_json::json;

use crate::server::Server;
use test_support::frames::{first, frame, request};
use test_support::http::{Connection, Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

/// Closes or resets the connection.
fn leave(connection: Connection, reset: bool) {
    if reset {
        connection.reset();
    } else {
        drop(connection);
    }
}

#[tokio::test]
async fn before_the_head_of_the_answer() {
    for (stream, reset) in [(true, true), (true, false), (false, true), (false, false)] {
        let never = Gate::new();
        let upstream = Upstream::start([Script::new().wait(&never)]).await;
        let server = Server::in_front_of(&upstream).await;
        let mut connection = server.connect().await;
        connection.send(&Request::chat(&request(&json!({ "stream": stream })))).await;
        upstream.request(1).await;
        leave(connection, reset);
        upstream.await_closed().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn between_the_head_and_the_first_token() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().chunk(": wait\n\n").wait(&never)]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = server.connect().await;
    connection.send(&Request::chat(&request(&json!({"stream": true})))).await;
    upstream.request(1).await;
    leave(connection, true);
    upstream.await_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn after_the_first_token() {
    for reset in [true, false] {
        let never = Gate::new();
        let upstream = Upstream::start([Script::stream().frame(&first()).wait(&never)]).await;
        let server = Server::in_front_of(&upstream).await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&Request::chat(&request(&json!({"stream": true})))).await;
        assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));
        leave(connection, reset);
        upstream.await_closed().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_plain_answer() {
    let never = Gate::new();
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"choices\":";
    let upstream = Upstream::start([Script::new().write(half).wait(&never)]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = server.connect().await;
    connection.send(&Request::chat(&request(&json!({})))).await;
    upstream.request(1).await;
    leave(connection, false);
    upstream.await_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn while_the_upstream_sends_more_than_the_client_reads() {
    // More than all buffers hold, so that the server waits for this reader.
    let flood =
        (0..400).fold(Script::stream(), |script, _| script.frame(&test_support::frames::text(&"x".repeat(64 << 10))));
    let upstream = Upstream::start([flood]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = Connection::open_narrow(server.address, 4096).await;
    let mut answer = connection.ask(&Request::chat(&request(&json!({"stream": true})))).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));
    leave(connection, true);
    upstream.await_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_and_its_upstream_freed() {
    let flood =
        (0..400).fold(Script::stream(), |script, _| script.frame(&test_support::frames::text(&"x".repeat(64 << 10))));
    let upstream = Upstream::start([flood]).await;
    let server =
        Server::start(&format!("{}limits: {{write_idle: 200ms}}\n", test_support::config::one_model(&upstream, "")))
            .await;
    let mut connection = Connection::open_narrow(server.address, 4096).await;
    connection.send(&Request::chat(&request(&json!({"stream": true})))).await;
    upstream.request(1).await;
    upstream.await_closed().await;
    drop(connection);
    server.stop().await;
}
