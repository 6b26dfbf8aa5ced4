//! Client connections: timeouts of silent ones, and the close of one whose request was not read.

use std::time::{Duration, Instant};

use crate::server::Server;
use test_support::http::Request;

fn probe() -> Request {
    Request::new("GET", "/healthz")
}

/// Connects, sends the beginning of a head, and waits until the server closes.
async fn never_asks(server: &Server, begin: &str) -> Duration {
    let began = Instant::now();
    let mut connection = server.connect().await;
    connection.send_raw(begin.as_bytes()).await;
    if !begin.is_empty() {
        assert_eq!(connection.answer().await.whole().await.status, 408);
    }
    assert!(connection.closed_cleanly().await, "after {begin:?}");
    began.elapsed()
}

#[tokio::test]
async fn a_kept_connection_may_be_silent_for_longer_than_a_first_head() {
    let first_head = Duration::from_millis(200);
    let server = Server::start("auth: none\nlimits: {header_read: 200ms, keep_alive: 1h}\n").await;
    let mut kept = server.connect().await;
    assert_eq!(kept.ask(&probe()).await.whole().await.status, 200);
    let silent_since = Instant::now();
    // Others are closed meanwhile, one after the other, in time for this one to be closed too.
    for begin in ["", "GET /healthz HTTP/1.1\r\nhost: localhost\r\n"] {
        assert!(never_asks(&server, begin).await >= first_head);
    }
    assert!(silent_since.elapsed() >= 2 * first_head);
    assert_eq!(kept.ask(&probe()).await.whole().await.status, 200);
    server.stop().await;
    assert!(kept.closed_cleanly().await);
}

#[tokio::test]
async fn a_kept_connection_that_stays_silent_is_closed() {
    let server = Server::start("auth: none\nlimits: {header_read: 1h, keep_alive: 300ms}\n").await;
    let mut kept = server.connect().await;
    assert_eq!(kept.ask(&probe()).await.whole().await.status, 200);
    let last_asked = Instant::now();
    assert_eq!(kept.ask(&probe()).await.whole().await.status, 200);
    assert!(kept.closed_cleanly().await);
    assert!(last_asked.elapsed() >= Duration::from_millis(300), "closed after {:?}", last_asked.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn refusals_reach_clients_that_send_all_of_a_body_before_they_read() {
    let yaml = "keys: [{name: alice, key: sk-alice-0123456789}]\nlimits: {body: 1MiB}\n";
    let server = Server::start(yaml).await;
    // More than the socket buffers hold.
    let body = vec![b' '; 8 << 20];
    let post = |path: &str| Request::new("POST", path).body(body.clone());
    let alice = "sk-alice-0123456789";
    for _ in 0..3 {
        server.ask(&post("/v1/chat/completions")).await.error(401);
        server.ask(&post("/v1/chat/completions").bearer("sk-wrong-0123456789")).await.error(401);
        server.ask(&post("/v1/nowhere").bearer(alice)).await.error(404);
        server.ask(&post("/v1/chat/completions").bearer(alice)).await.error(413);
    }
    server.stop().await;
}
