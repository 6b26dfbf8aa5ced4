//! The source of token counts: reported by the upstream, counted, or estimated.

use serde_json::json;

use super::{PROMPT, ask, only, read_words, recording, stream, words};
use crate::server::Server;
use test_support::becomes;
use test_support::config::one_model;
use test_support::frames::{answer, first, frame, last, text, usage};
use test_support::full_backlog::Full;
use test_support::upstream::{Gate, Script, Upstream};

const SHORT: &str = "timeouts: {connect: 100ms}";

/// `data` with running usage.
fn with_usage(data: &str, prompt: u64, completion: u64) -> String {
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    format!("{},\"usage\":{usage}}}", data.strip_suffix('}').unwrap())
}

#[tokio::test]
async fn exact_from_a_chunk_of_its_own_hidden_or_not() {
    for more in [json!({"stream": true}), json!({"stream": true, "stream_options": {"include_usage": true}})] {
        let upstream =
            Upstream::start([words(2).frame(&last("stop")).frame(&usage(40, 60)).frame("[DONE]").end()]).await;
        let server = recording(&upstream, "").await;
        assert_eq!(server.ask(&ask(&more)).await.text().contains("usage"), more.get("stream_options").is_some());
        assert_eq!(only(server).await.counts(), (40, 60, Some("exact")));
    }
}

#[tokio::test]
async fn exact_from_the_last_choice() {
    let frames = [first(), text("a"), with_usage(&last("stop"), 9, 4), "[DONE]".to_owned()];
    let upstream = Upstream::start([Script::sse(frames)]).await;
    let server = recording(&upstream, "").await;
    assert_eq!(server.ask(&stream()).await.status, 200);
    assert_eq!(only(server).await.counts(), (9, 4, Some("exact")));
}

#[tokio::test]
async fn exact_usage_is_kept_when_the_connection_is_cut_after_it() {
    let upstream = Upstream::start([words(2).frame(&last("stop")).frame(&usage(40, 60)).close()]).await;
    let server = recording(&upstream, "").await;
    server.ask(&stream()).await.transcript();
    assert_eq!(only(server).await.counts(), (40, 60, Some("exact")));
}

#[tokio::test]
async fn running_for_a_client_that_leaves() {
    let never = Gate::new();
    let script = Script::stream()
        .frame(&with_usage(&first(), 11, 0))
        .frame(&with_usage(&text("word "), 11, 3))
        .frame(&with_usage(&text("word "), 11, 7));
    let upstream = Upstream::start([script.wait(&never)]).await;
    let server = recording(&upstream, "usage: running").await;
    let mut connection = server.connect().await;
    read_words(&mut connection.ask(&stream()).await, 2).await;
    connection.reset();
    upstream.await_closed().await;
    assert_eq!(only(server).await.counts(), (11, 7, Some("running")));
}

#[tokio::test]
async fn running_usage_is_hidden_from_a_client_that_did_not_request_it() {
    let bare = [first(), text("a"), text("b"), last("stop")];
    let counted = bare.iter().zip(0..).map(|(data, so_far)| with_usage(data, 11, so_far));
    let upstream = Upstream::start([Script::sse(counted.chain(["[DONE]".to_owned()]))]).await;
    let server = a_thousand(&upstream, "usage: running").await;
    let whole = server.ask(&ask(&json!({"stream": true, "max_tokens": 500}))).await;
    let expected: String = bare.iter().map(|data| frame(data)).collect();
    assert_eq!(whole.text(), expected + &frame("[DONE]"));
    let options = serde_json::from_str::<serde_json::Value>(upstream.request(1).await.text()).unwrap();
    assert_eq!(options["stream_options"], json!({"include_usage": true, "continuous_usage_stats": true}));
    assert_eq!(remaining(&server).await, (1000 - 11 - 3).to_string());
    let record = only(server).await;
    assert_eq!((record.prompt_tokens, record.completion_tokens), (11, 3), "{record:?}");
}

#[tokio::test]
async fn counted_where_no_usage_is_reported() {
    let whole = || words(6).frame(&last("stop")).frame("[DONE]").end();
    let upstream = Upstream::start([whole()]).await;
    let server = recording(&upstream, "usage: never").await;
    server.ask(&stream()).await.transcript().assert_contract(1, false);
    let (prompt, completion, source) = {
        let record = only(server).await;
        (record.prompt_tokens, record.completion_tokens, record.source)
    };
    assert_eq!((prompt, completion, source.as_deref()), (PROMPT, 6, Some("counted")), "the last chunk has no text");
}

#[tokio::test]
async fn estimated_for_a_plain_answer_without_usage() {
    let mut body: serde_json::Value = serde_json::from_str(&answer(&"x".repeat(400))).unwrap();
    body.as_object_mut().unwrap().remove("usage");
    let body = body.to_string();
    let upstream = Upstream::start([Script::json(200, &body)]).await;
    let server = recording(&upstream, "").await;
    assert_eq!(server.ask(&ask(&json!({}))).await.status, 200);
    let record = only(server).await;
    assert_eq!((record.prompt_tokens, record.source.as_deref()), (PROMPT, Some("estimated")));
    // One token per four bytes of text; the JSON around the text does not count.
    assert!((100..=200).contains(&record.completion_tokens), "{record:?}");
}

#[tokio::test]
async fn the_local_models_counts_are_exact() {
    let server = Server::start_on_disk("auth: none\n").await;
    let local = |more| ask(&more);
    let plain = server.ask(&local(json!({"model": "petstore-ai"}))).await.json();
    let more = json!({"model": "petstore-ai", "stream": true, "stream_options": {"include_usage": true}});
    let streamed = server.ask(&local(more)).await.transcript();
    let records = server.records().await;
    for (record, usage) in records.iter().zip([&plain["usage"], streamed.usage().unwrap()]) {
        let said = |what: &str| u32::try_from(usage[what].as_u64().unwrap()).unwrap();
        assert_eq!(record.counts(), (said("prompt_tokens"), said("completion_tokens"), Some("exact")));
        assert_eq!((record.target.as_deref(), record.ending()), (Some("petstore-ai"), ("completed", None, 200)));
    }
    assert_eq!(records.len(), 2);
}

/// A server whose key has 1000 tokens per minute.
async fn a_thousand(upstream: &Upstream, entry: &str) -> Server {
    let yaml = one_model(upstream, entry) + "limits: {per_key: {tokens_per_minute: 1000}}\n";
    Server::start_on_disk(&yaml).await
}

async fn remaining(server: &Server) -> String {
    let peek = server.ask(&ask(&json!({"messages": []}))).await;
    peek.header("x-ratelimit-remaining-tokens").unwrap().to_owned()
}

#[tokio::test]
async fn limits_are_settled_with_the_best_known_count_of_a_cut_stream() {
    let never = Gate::new();
    let cut = json!({"stream": true, "max_tokens": 500});
    // The last running usage of the upstream.
    let running = Script::stream().frame(&with_usage(&first(), 100, 0)).frame(&with_usage(&text("word "), 100, 23));
    let upstream = Upstream::start([running.clone().close(), running.wait(&never)]).await;
    let server = a_thousand(&upstream, "usage: running").await;
    server.ask(&ask(&cut)).await.transcript();
    becomes(&"877".to_owned(), async || remaining(&server).await).await;
    let mut connection = server.connect().await;
    read_words(&mut connection.ask(&ask(&cut)).await, 1).await;
    connection.reset();
    upstream.await_closed().await;
    becomes(&"754".to_owned(), async || remaining(&server).await).await;
    server.stop().await;

    // The server's own count.
    let upstream = Upstream::start([words(20).close(), words(10).wait(&never), Script::new().wait(&never)]).await;
    let server = a_thousand(&upstream, "").await;
    server.ask(&ask(&cut)).await.transcript();
    becomes(&(1000 - PROMPT - 20).to_string(), async || remaining(&server).await).await;
    let mut connection = server.connect().await;
    read_words(&mut connection.ask(&ask(&cut)).await, 10).await;
    connection.reset();
    upstream.await_closed().await;
    becomes(&(1000 - 2 * PROMPT - 30).to_string(), async || remaining(&server).await).await;

    // Nothing had arrived, but the upstream had begun to work.
    let mut connection = server.connect().await;
    connection.send(&ask(&cut)).await;
    upstream.request(3).await;
    connection.reset();
    upstream.await_closed().await;
    becomes(&(1000 - 3 * PROMPT - 30).to_string(), async || remaining(&server).await).await;
    let spent: u32 = server.records().await.iter().map(|record| record.prompt_tokens + record.completion_tokens).sum();
    assert_eq!(spent, 3 * PROMPT + 30, "limits and records agree");
}

#[tokio::test]
async fn unreachable_upstreams_charge_no_tokens() {
    let mut gone = Upstream::start([]).await;
    gone.unlisten().await;
    let full = Full::open().await;
    let slow = format!("auth: none\nmodels: [{{name: m, upstreams: [{{base_url: '{}', {SHORT}}}]}}]\n", full.url());
    for (yaml, code, status) in [(one_model(&gone, ""), "upstream_unreachable", 502), (slow, "upstream_timeout", 504)] {
        let server = Server::start(&(yaml + "limits: {per_key: {tokens_per_minute: 1000}}\n")).await;
        for streaming in [true, false] {
            let whole = server.ask(&ask(&json!({"stream": streaming, "max_tokens": 500}))).await;
            assert_eq!(whole.error(status)["code"], code);
            assert_eq!(remaining(&server).await, "1000", "streaming: {streaming}");
        }
        server.stop().await;
    }
}
