//! Slow readers of large frames do not use up the memory for the answers of others.

use serde_json::json;

use super::{KEYS, ONE, OTHER};
use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::one_model;
use test_support::frames::{answer, first, last, request, text};
use test_support::http::{Connection, Request, Whole};
use test_support::soon;
use test_support::upstream::{Script, Upstream};

/// Length of a large frame, bytes: more than the socket buffers hold.
const LARGE: usize = 7 << 20;
/// Received bytes after which a large frame has begun: more than heads, first frames and refusals have.
const BEGUN: usize = 8 << 10;
/// Concurrent readers.
const READERS: usize = 12;

/// A server that holds at most three large frames of one key.
async fn server(upstream: &Upstream) -> Server {
    let limits = "limits: {frame: 8MiB, answer: 8MiB, answers_total: 64MiB, answers_per_key: 24MiB}\n";
    let model = format!("models: [{{name: m, upstreams: [{{base_url: {}}}]}}]\n", upstream.url());
    Server::start(&format!("{KEYS}{limits}{model}")).await
}

/// The answers of slow readers, which request one after the other, stop before most of their large frames and read
/// them in the end; and meanwhile that of a reader with another key.
async fn slow_readers(server: &Server, ask: impl Fn(&str) -> Request) -> (Vec<Whole>, Whole) {
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut connection = Connection::open_narrow(server.address, 4096).await;
        // A refusal closes its connection, so that each has either begun to read its large frame or was refused.
        connection.send(&ask(ONE).header("connection", "close")).await;
        connection.has_received(BEGUN).await;
        readers.push(connection);
    }
    let other = soon("the answer to another key", server.ask(&ask(OTHER))).await;
    let mut answers = Vec::new();
    for mut connection in readers {
        answers.push(soon("a slow reader's answer", async { connection.answer().await.whole().await }).await);
    }
    (answers, other)
}

#[tokio::test]
async fn large_frames_of_slow_readers_are_bounded_and_those_that_were_taken_arrive_whole() {
    let content = "x".repeat(LARGE);
    let frames = [first(), text(&content), last("stop"), "[DONE]".to_owned()];
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::sse(frames));
    let server = server(&upstream).await;
    let ask = |key: &str| Request::chat(&request(&json!({"stream": true}))).bearer(key);
    let (answers, other) = slow_readers(&server, ask).await;
    assert_eq!(other.transcript().text(0).len(), LARGE);
    let mut whole = 0;
    for answer in &answers {
        if answer.status != 200 {
            assert_eq!(answer.error(429)["code"], "rate_limit_exceeded");
            continue;
        }
        assert_eq!(answer.text().matches("data: [DONE]").count(), 1);
        let transcript = answer.transcript();
        if answer.text().contains("rate_limit_exceeded") {
            assert!(transcript.finish_reason(0).is_none(), "no success");
        } else {
            assert!(transcript.text(0) == content);
            assert_eq!(transcript.finish_reason(0), Some("stop"));
            whole += 1;
        }
    }
    assert!((1..READERS).contains(&whole), "{whole} of {READERS}");
    server.stop().await;
}

#[tokio::test]
async fn large_plain_answers_of_slow_readers_are_bounded_and_those_that_were_taken_arrive_whole() {
    let body = answer(&"x".repeat(LARGE));
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::json(200, &body));
    let server = server(&upstream).await;
    let (answers, other) = slow_readers(&server, |key| Request::chat(&request(&json!({}))).bearer(key)).await;
    assert!(other.status == 200 && other.text() == body);
    let mut whole = 0;
    for answer in &answers {
        if answer.status == 200 {
            assert!(answer.text() == body, "not as the upstream wrote it");
            whole += 1;
        } else {
            assert_eq!(answer.error(429)["code"], "rate_limit_exceeded");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }
    assert!((1..READERS).contains(&whole), "{whole} of {READERS}");
    server.stop().await;
}

/// With a single caller, its share is the total. Returns the first answer to a slow reader that was refused, before or
/// after its begin.
async fn refused_by_the_total(script: Script, stream: bool) -> Whole {
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(script);
    let limits = "limits: {frame: 8MiB, answer: 8MiB, answers_total: 24MiB}";
    let server = Server::start(&format!("{}{limits}\n", one_model(&upstream, ""))).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut connection = Connection::open_narrow(server.address, 4096).await;
        let ask = Request::chat(&request(&json!({ "stream": stream }))).header("connection", "close");
        connection.send(&ask).await;
        connection.has_received(BEGUN).await;
        readers.push(connection);
    }
    let mut refused = None;
    for mut connection in readers {
        let answer = soon("a slow reader's answer", async { connection.answer().await.whole().await }).await;
        if answer.body.len() < LARGE {
            refused.get_or_insert(answer);
        }
    }
    server.stop().await;
    refused.expect("a refusal")
}

#[tokio::test]
async fn large_answers_of_all_callers_together_are_bounded() {
    let content = "x".repeat(LARGE);
    let plain = refused_by_the_total(Script::json(200, &answer(&content)), false).await;
    assert_eq!(plain.error(503)["code"], "server_is_overloaded");
    assert_eq!(plain.header("retry-after"), Some("1"));
    let frames = [first(), text("a"), text(&content), last("stop"), "[DONE]".to_owned()];
    let begun = refused_by_the_total(Script::sse(frames), true).await.transcript();
    let Ending::Failed(error) = &begun.ending else { panic!("no failure: {begun:#?}") };
    assert_eq!((error["code"].as_str(), begun.text(0).as_str()), (Some("server_is_overloaded"), "a"));
}
