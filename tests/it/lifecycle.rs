//! The stop of a server.

use serde_json::json;
use tokio::net::TcpStream;

use crate::server::Server;
use test_support::frames::{first, frame, last, request, text};
use test_support::http::{Piece, Request};
use test_support::soon;
use test_support::upstream::{Gate, Script, Upstream};

#[tokio::test]
async fn running_streams_complete_and_new_connections_are_refused() {
    let gate = Gate::new();
    let script = Script::stream().frame(&first()).wait(&gate).frame(&text("a")).frame(&last("stop")).frame("[DONE]");
    let upstream = Upstream::start([script.end()]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&Request::chat(&request(&json!({"stream": true})))).await;
    assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));

    server.begin_stop();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    soon("new connections to be refused", refused).await;
    gate.open();
    let rest = String::from_utf8(answer.body().await).unwrap();
    let expected: String = [text("a"), last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect();
    assert_eq!(rest, expected);
    assert!(connection.closed_cleanly().await, "after the last answer");
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let server = Server::start("auth: none\n").await;
    let mut idle = server.connect().await;
    assert_eq!(idle.ask(&Request::new("GET", "/readyz")).await.whole().await.status, 200);
    server.begin_stop();
    assert!(idle.closed_cleanly().await);
    server.stop().await;
}
