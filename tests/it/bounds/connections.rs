//! Connections of clients, and the heads of their requests.

use crate::server::Server;
use test_support::http::{Connection, Request};

/// A request for a path that needs no key, with so many fields in all.
fn with_fields(count: usize) -> Request {
    // `host` is the first.
    (1..count).fold(Request::new("GET", "/healthz"), |request, number| request.header(&format!("x-{number}"), "y"))
}

#[tokio::test]
async fn a_head_has_at_most_64_kib_and_100_fields() {
    let server = Server::start("auth: none\n").await;
    let long = |length: usize| Request::new("GET", "/healthz").header("x-long", &"x".repeat(length));
    for (request, status) in
        [(with_fields(100), 200), (with_fields(101), 431), (long(65_000), 200), (long(65_536), 431)]
    {
        let mut connection = server.connect().await;
        assert_eq!(connection.ask(&request).await.whole().await.status, status);
        // A refusal ends the connection.
        let next = connection.ask_unless_gone(&with_fields(1)).await;
        assert_eq!(next.map(|next| next.status), (status == 200).then_some(200));
    }
    server.stop().await;
}

#[tokio::test]
async fn connections_to_the_metrics_beyond_64_wait_their_turn() {
    let server = Server::start("auth: none\nmetrics: {listen: 127.0.0.1:0}\n").await;
    let address = server.metrics.unwrap();
    let scrape = Request::new("GET", "/metrics");
    let mut all = Vec::new();
    for _ in 0..64 {
        let mut connection = Connection::open(address).await;
        assert_eq!(connection.ask(&scrape).await.whole().await.status, 200);
        all.push(connection);
    }
    let mut waiting = Connection::open(address).await;
    waiting.send(&scrape).await;
    // All others keep their places: they are answered although a request waits.
    for connection in &mut all {
        assert_eq!(connection.ask(&scrape).await.whole().await.status, 200);
    }
    assert!(!waiting.has_bytes(), "it was accepted");
    drop(all.pop());
    assert_eq!(waiting.answer().await.whole().await.status, 200);
    drop((all, waiting));
    server.stop().await;
}
