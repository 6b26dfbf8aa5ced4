//! Stalled uploads of one key do not use up the body memory of others.

use std::time::Duration;

use super::{KEYS, ONE, OTHER};
use crate::server::Server;
use tokio::time::timeout;

use test_support::http::{Connection, Request, Whole};
use test_support::{becomes, soon};

const KIB: usize = 1 << 10;
/// The length of a body in these tests.
const BODY: usize = 256 * KIB;
/// Bytes that a stalled upload does not send.
const MISSING: usize = 200;

/// A completion request with a body of this length.
fn question(key: &str, size: usize) -> Request {
    let mut body = br#"{"model":"petstore-ai","messages":[{"role":"user","content":"How many cats?"}]}"#.to_vec();
    body.resize(size, b' ');
    Request::new("POST", "/v1/chat/completions").bearer(key).body(body)
}

/// An upload that stalls before its last bytes.
async fn stalled(server: &Server, key: &str) -> Connection {
    let mut connection = server.connect().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: {BODY}\r\n\r\n"
    );
    connection.send_raw(head.as_bytes()).await;
    connection.send_raw(&vec![b' '; BODY - MISSING]).await;
    connection
}

/// Sends a byte at intervals until the answer arrives.
async fn drip(mut connection: Connection) -> Whole {
    for _ in 0..MISSING - 1 {
        // The pace of the client, which stops at an answer.
        let answer = async { connection.answer().await.whole().await };
        if let Ok(answer) = timeout(Duration::from_millis(200), answer).await {
            return answer;
        }
        connection.send_raw(b" ").await;
    }
    connection.answer().await.whole().await
}

#[tokio::test]
async fn five_stalled_uploads_of_one_key_leave_memory_for_others_and_are_aborted() {
    let limits = "limits: {body: 256KiB, bodies_total: 1280KiB, body_read: 2s}\n";
    let server = Server::start(&format!("{KEYS}{limits}")).await;
    let mut uploads = Vec::new();
    // At least five, until one is refused: some may have arrived while a request held the share.
    let refused = async {
        loop {
            uploads.push(stalled(&server, ONE).await);
            let answer = server.ask(&question(ONE, BODY)).await;
            if answer.status != 200 && uploads.len() >= 5 {
                return answer;
            }
        }
    };
    let refused = soon("the share to be used up", refused).await;
    let error = refused.error(429);
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("requests"), Some("rate_limit_exceeded")));
    assert!(error["message"].as_str().unwrap().starts_with("Your API key has its whole share of memory"), "{error}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.ask(&question(OTHER, BODY)).await.status, 200);
    assert_eq!(server.ask(&question(ONE, 4 * KIB)).await.status, 200, "small ones still have room");
    // Slow bytes do not prolong any of them: refused at once, or after `body_read`.
    let mut ends = Vec::new();
    for upload in uploads.into_iter().map(|upload| tokio::spawn(drip(upload))).collect::<Vec<_>>() {
        ends.push(soon("an upload to be given up", upload).await.unwrap().status);
    }
    assert!(ends.contains(&408) && ends.iter().all(|status| matches!(status, 408 | 429)), "{ends:?}");
    assert_eq!(server.ask(&question(ONE, BODY)).await.status, 200, "its share is free again");
    server.stop().await;
}

#[tokio::test]
async fn without_keys_all_clients_share_the_whole_bound() {
    let server = Server::start("auth: none\nlimits: {body: 256KiB, bodies_total: 512KiB}\n").await;
    let upload = stalled(&server, ONE).await;
    assert_eq!(server.ask(&question(OTHER, BODY)).await.status, 200);
    drop(upload);
    server.stop().await;
}

/// A request of 64 KiB whose body the server has requested with `100 Continue`.
async fn begun(server: &Server) -> Connection {
    let mut connection = server.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 65536\r\n\r\n";
    connection.send_raw(head.as_bytes()).await;
    assert_eq!(connection.answer().await.status(), 100);
    connection
}

#[tokio::test]
async fn bodies_that_do_not_fit_into_memory_together_are_refused() {
    let server = Server::start("auth: none\nlimits: {body: 64KiB, bodies_total: 64KiB}\n").await;
    let mut all = vec![begun(&server).await, begun(&server).await, begun(&server).await, begun(&server).await];
    assert_eq!(server.ask(&question(ONE, 65_536)).await.status, 200, "what has not come takes no room");
    // A body that has begun to arrive leaves no memory for a whole one. It may itself have been refused.
    let refused = async {
        loop {
            let mut connection = begun(&server).await;
            connection.send_raw(b" ").await;
            all.push(connection);
            let answer = server.ask(&question(ONE, 65_536)).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let answer = soon("the room to be used up", refused).await;
    let error = answer.error(503);
    let words = (error["type"].as_str(), error["code"].as_str());
    assert_eq!(words, (Some("service_unavailable_error"), Some("server_is_overloaded")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(server.ask(&question(ONE, 100)).await.status, 200, "a small one that comes in one piece has room");
    drop(all);
    becomes(&200, async || server.ask(&question(ONE, 65_536)).await.status).await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_may_use_the_whole_bound() {
    let server = Server::start("auth: none\nlimits: {body: 64KiB, bodies_total: 64KiB}\n").await;
    let mut connection = begun(&server).await;
    connection.send_raw(&vec![b' '; 65_536]).await;
    assert_eq!(connection.answer().await.whole().await.status, 400, "read whole, and no JSON");
    assert_eq!(server.ask(&question(ONE, 100)).await.status, 200);
    server.stop().await;
}
