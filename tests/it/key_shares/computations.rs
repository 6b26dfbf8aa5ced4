//! Long requests, whose bodies are parsed in the pool for computations: one key cannot fill its queue.

use futures_util::future::join_all;

use super::{KEYS, ONE, OTHER};
use crate::server::Server;
use test_support::http::Request;

/// Requests at once.
const REQUESTS: usize = 96;
/// The length of a body, more than what is parsed on the thread of its connection.
const BODY: usize = 300 << 10;

/// A request with this body for a completion of the local model.
fn head(key: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-length: {BODY}\r\n\r\n"
    )
}

/// A question behind many short messages, which take long to parse.
fn body() -> Vec<u8> {
    let message = r#"{"role":"user","content":"How many cats?"},"#;
    let end = r#"{"role":"user","content":"How many cats?"}]}"#;
    let mut body = br#"{"model":"petstore-ai","messages":["#.to_vec();
    while body.len() + message.len() + end.len() <= BODY {
        body.extend_from_slice(message.as_bytes());
    }
    body.extend_from_slice(end.as_bytes());
    body.resize(BODY, b' ');
    body
}

#[tokio::test]
async fn long_requests_of_one_key_beyond_64_are_refused() {
    let server = Server::start(KEYS).await;
    let body = body();
    let mut connections = Vec::new();
    for _ in 0..REQUESTS {
        let mut connection = server.connect().await;
        connection.send_raw(head(ONE).as_bytes()).await;
        connection.send_raw(&body[..BODY - 1]).await;
        connections.push(connection);
    }
    // All of them are complete at once.
    for connection in &mut connections {
        connection.send_raw(b" ").await;
    }
    let other = Request::new("POST", "/v1/chat/completions").bearer(OTHER).body(body);
    let (answers, other) = tokio::join!(
        join_all(connections.iter_mut().map(async |connection| connection.answer().await.whole().await)),
        server.ask(&other)
    );
    assert_eq!(other.status, 200, "another key has its own share");
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(done.len() >= 64 && !refused.is_empty(), "{} done, {} refused", done.len(), refused.len());
    for answer in refused {
        let error = answer.error(429);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("large requests at once: Limit 64"), "{message}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    server.stop().await;
}
