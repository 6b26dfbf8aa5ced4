//! `/api/me`: what a key can read about itself.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::http::Request;

const KEYS: &str = "\
keys:
  - {name: alice, key: sk-alice-0123456789, limits: {requests_per_minute: 1}}
  - {name: watcher, key: sk-watcher-0123456789, scopes: [stats]}
";

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

#[tokio::test]
async fn a_key_can_read_its_scopes_and_limits() {
    let server = Server::start(KEYS).await;
    let me = async |secret: &str| server.ask(&get("/api/me").bearer(secret)).await;
    // More often than its limit: a page must be able to show why other requests fail.
    for _ in 0..3 {
        let answer = me("sk-alice-0123456789").await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        let scopes = ["chat", "store:read", "store:write"];
        assert_eq!(answer.json(), json!({"key": "alice", "scopes": scopes, "auth": "keys"}));
    }
    let answer = me("sk-watcher-0123456789").await.json();
    assert_eq!(answer, json!({"key": "watcher", "scopes": ["stats"], "auth": "keys"}));
    for (request, status) in [
        (get("/api/me"), 401),
        (get("/api/me").bearer("sk-wrong-0123456789"), 401),
        (Request::new("POST", "/api/me").bearer("sk-alice-0123456789"), 405),
    ] {
        let refused = server.ask(&request).await;
        assert_eq!((refused.status, refused.header("content-type")), (status, Some("application/problem+json")));
    }
    server.stop().await;
}

#[tokio::test]
async fn the_first_key_and_auth_none_have_all_scopes() {
    let all = ["chat", "store:read", "store:write", "stats"];
    let server = Server::start("").await;
    let first = server.first_key.clone().unwrap();
    let me: Value = server.ask(&get("/api/me").bearer(&first)).await.json();
    assert_eq!(me, json!({"key": "first", "scopes": all, "auth": "keys"}));
    server.stop().await;
    let server = Server::start("auth: none\n").await;
    assert_eq!(server.ask(&get("/api/me")).await.json(), json!({"key": "everybody", "scopes": all, "auth": "none"}));
    server.stop().await;
}
