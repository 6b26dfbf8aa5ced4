//! What is held of upstreams' answers, and their idle connections.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::server::Server;
use test_support::becomes;
use test_support::completion_stream::Ending;
use test_support::config::{model, one_model};
use test_support::frames::{answer, frame, request};
use test_support::http::Request;
use test_support::surface_stream::{self, SurfaceEnding};
use test_support::upstream::{Gate, Script, Upstream};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn chunk(index: u64, delta: &Value, finish_reason: Option<&str>) -> String {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    })
    .to_string()
}

/// A stream of these frames in one write, so that they arrive together.
fn at_once(frames: impl IntoIterator<Item = String>) -> Script {
    let body: String = frames.into_iter().map(|data| frame(&data)).collect();
    Script::new().write(format!("{HEAD}{body}")).close()
}

/// Whether a stream that fails behind these chunks has begun by then. If not, another upstream answers.
async fn begins(chunks: Vec<String>, frame: &str) -> bool {
    let error = json!({"error": {"message": "Gone."}}).to_string();
    let first = Upstream::start([at_once(chunks.into_iter().chain([error]))]).await;
    let second = Upstream::start([]).await;
    second.answer_otherwise(Script::sse([
        chunk(0, &json!({"role": "assistant", "content": "b"}), None),
        chunk(0, &json!({}), Some("stop")),
        "[DONE]".to_owned(),
    ]));
    let yaml = model(&[(&first, "priority: 0"), (&second, "priority: 1")], &[]);
    let server = Server::start(&format!("{yaml}limits: {{frame: {frame}}}\n")).await;
    let transcript = server.ask(&Request::chat(&request(&json!({"stream": true})))).await.transcript();
    server.stop().await;
    match transcript.ending {
        Ending::Complete => {
            assert_eq!(transcript.text(0), "b");
            false
        }
        Ending::Failed(_) => true,
        Ending::Cut(rest) => panic!("cut: {rest:?}"),
    }
}

#[tokio::test]
async fn sixteen_chunks_or_one_frame_without_a_token_begin_the_stream() {
    let empty = chunk(0, &json!({"role": "assistant", "content": ""}), None);
    for (count, begun) in [(15, false), (16, true)] {
        assert_eq!(begins(vec![empty.clone(); count], "8MiB").await, begun, "{count} chunks");
    }
    let padded = chunk(0, &json!({"role": "assistant", "content": "", "padding": "x".repeat(800)}), None);
    assert!((683..1_024).contains(&padded.len()), "three are longer than a frame, two are not: {}", padded.len());
    for (count, begun) in [(2, false), (3, true)] {
        assert_eq!(begins(vec![padded.clone(); count], "2KiB").await, begun, "{count} long chunks");
    }
}

/// The choice with which a stream of two choices begins, if the upstream sends so many chunks of the second one first,
/// each with a text of this length.
async fn first_choice(count: usize, length: usize) -> Value {
    let content = |index| chunk(index, &json!({"role": "assistant", "content": "x".repeat(length)}), None);
    let ends = [content(0), chunk(1, &json!({}), Some("stop")), chunk(0, &json!({}), Some("stop"))];
    let frames = vec![content(1); count].into_iter().chain(ends).chain(["[DONE]".to_owned()]);
    let upstream = Upstream::start([at_once(frames)]).await;
    let server = Server::in_front_of(&upstream).await;
    let transcript = server.ask(&Request::chat(&request(&json!({"stream": true, "n": 2})))).await.transcript();
    assert_eq!(transcript.ending, Ending::Complete);
    assert_eq!(transcript.text(1).len(), count * length, "no chunk is lost");
    server.stop().await;
    transcript.choices().next().unwrap()["index"].clone()
}

#[tokio::test]
async fn later_choices_wait_for_earlier_ones_up_to_256_chunks_or_256_kib() {
    assert_eq!(first_choice(255, 1).await, 0);
    assert_eq!(first_choice(256, 1).await, 1);
    assert_eq!(first_choice(2, 100 << 10).await, 0);
    assert_eq!(first_choice(3, 100 << 10).await, 1);
}

#[tokio::test]
async fn the_text_of_an_error_over_64_kib_is_left_out() {
    for (padding, shown) in [(60 << 10, true), (64 << 10, false)] {
        let error = json!({"error": {"message": "Too hot."}, "padding": "x".repeat(padding)}).to_string();
        let upstream = Upstream::start([Script::json(400, &error)]).await;
        let server = Server::start(&one_model(&upstream, "")).await;
        let refused = server.ask(&Request::chat(&request(&json!({})))).await;
        let message = refused.error(400)["message"].as_str().unwrap().to_owned();
        assert_eq!(message.contains("Too hot."), shown, "{message}");
        server.stop().await;
    }
}

#[tokio::test]
async fn at_most_256_connections_to_an_upstream_are_kept_idle() {
    const REQUESTS: usize = 300;
    // Four sockets for each request.
    rlimit::increase_nofile_limit(8_192).unwrap();
    let gate = Gate::new();
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::new().wait(&gate).then(Script::json(200, &answer("a"))));
    let server = Server::in_front_of(&upstream).await;
    let mut connections = Vec::new();
    for _ in 0..REQUESTS {
        let mut connection = server.connect().await;
        connection.send(&Request::chat(&request(&json!({})))).await;
        connections.push(connection);
    }
    upstream.request(REQUESTS).await;
    assert_eq!(upstream.open(), REQUESTS);
    (0..REQUESTS).for_each(|_| gate.open());
    let answers =
        join_all(connections.iter_mut().map(async |connection| connection.answer().await.whole().await)).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    becomes(&256, async || {
        tokio::task::yield_now().await;
        upstream.open()
    })
    .await;
    let stats = server.ask(&Request::new("GET", "/api/stats")).await.json();
    assert_eq!(stats["upstreams"][0]["idleConnections"], 256);
    drop(connections);
    server.stop().await;
}

#[tokio::test]
async fn of_a_translated_stream_no_more_is_kept_than_of_a_plain_answer() {
    for (chunks, fits) in [(7, true), (9, false)] {
        let text = |_| chunk(0, &json!({"content": "x".repeat(128)}), None);
        let frames = (0..chunks).map(text).chain([chunk(0, &json!({}), Some("stop")), "[DONE]".to_owned()]);
        let upstream = Upstream::start([at_once(frames)]).await;
        let server = Server::start(&format!("{}limits: {{answer: 1KiB}}\n", one_model(&upstream, ""))).await;
        let asked = json!({"model": "m", "input": "hi", "stream": true});
        let answer = server.ask(&Request::post("/v1/responses", &asked)).await;
        match surface_stream::response(answer.text().as_bytes()).ending {
            SurfaceEnding::Complete => assert!(fits),
            SurfaceEnding::Failed(error) => {
                assert_eq!((fits, &error["code"]), (false, &"upstream_malformed".into()));
                assert!(error["message"].as_str().unwrap().contains("too long"), "{error}");
            }
            SurfaceEnding::Cut => panic!("cut"),
        }
        server.stop().await;
    }
}
