//! `limits.stop_at_budget`: a stream ends with an error when the token budget of its key is exhausted.

use serde_json::{Value, json};

use super::{PROMPT, ask, only, stream, words};
use crate::server::Server;
use test_support::completion_stream::{Ending, Transcript};
use test_support::config::one_model;
use test_support::frames::{first, last, text, usage};
use test_support::upstream::{Gate, Script, Upstream};

async fn limited(upstream: &Upstream, entry: &str, tokens: u32, stop: bool) -> Server {
    let limits = format!("limits: {{per_key: {{tokens_per_minute: {tokens}}}, stop_at_budget: {stop}}}\n");
    Server::start_on_disk(&(one_model(upstream, entry) + &limits)).await
}

/// Checks the ending: each choice ends with `length`, and an error names the limit.
#[track_caller]
fn assert_stopped(transcript: &Transcript, choices: u64) -> Value {
    let Ending::Failed(error) = &transcript.ending else { panic!("it was not stopped: {:?}", transcript.text(0)) };
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("tokens"), Some("token_budget_exhausted")));
    assert!(error["message"].as_str().unwrap().contains("tokens per minute"), "{error}");
    for index in 0..choices {
        assert_eq!(transcript.finish_reason(index), Some("length"));
    }
    let chunks: Vec<_> = transcript.json().filter(|value| value.get("error").is_none()).collect();
    for key in ["id", "created", "model", "object"] {
        assert!(chunks.iter().all(|chunk| chunk[key] == chunks[0][key]), "{key} changes");
    }
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "nobody asked for usage");
    error.clone()
}

fn count(transcript: &Transcript) -> usize {
    transcript.text(0).split_terminator(' ').count()
}

#[tokio::test]
async fn a_stream_is_ended_when_its_keys_tokens_are_used_up() {
    // More than the budget, and then silence: only the server can end the stream.
    let never = Gate::new();
    let upstream = Upstream::start([words(200).wait(&never)]).await;
    let server = limited(&upstream, "", PROMPT + 32, true).await;
    let transcript = server.ask(&stream()).await.transcript();
    assert_stopped(&transcript, 1);
    upstream.await_closed().await;
    // The token that exceeds the budget has been generated, so it is passed on.
    assert_eq!(count(&transcript), 33);
    let record = only(server).await;
    assert_eq!(record.counts(), (PROMPT, 33, Some("counted")));
    assert_eq!(record.ending(), ("budget_spent", Some("token_budget_exhausted"), 200));
}

#[tokio::test]
async fn not_before_they_are_used_up() {
    let never = Gate::new();
    let upstream = Upstream::start([words(200).wait(&never)]).await;
    let server = limited(&upstream, "", PROMPT + 20, true).await;
    let transcript = server.ask(&stream()).await.transcript();
    assert_stopped(&transcript, 1);
    assert!(count(&transcript) >= 20, "ended after {} of 20 tokens", count(&transcript));
    server.stop().await;
}

#[tokio::test]
async fn every_unfinished_choice_is_ended() {
    let never = Gate::new();
    let other = |data: String| data.replace("\"index\":0", "\"index\":1");
    let begin = Script::stream().frame(&first()).frame(&other(first()));
    let script = (0..100).fold(begin, |script, _| script.frame(&text("word ")).frame(&other(text("word "))));
    let upstream = Upstream::start([script.wait(&never)]).await;
    let server = limited(&upstream, "", PROMPT + 32, true).await;
    let transcript = server.ask(&ask(&json!({"stream": true, "n": 2}))).await.transcript();
    assert_stopped(&transcript, 2);
    server.stop().await;
}

#[tokio::test]
async fn the_usage_of_the_upstream_is_recorded() {
    let never = Gate::new();
    let with_usage = |data: &str, completion: u32| {
        let usage = json!({"prompt_tokens": 50, "completion_tokens": completion, "total_tokens": 50 + completion});
        format!("{},\"usage\":{usage}}}", data.strip_suffix('}').unwrap())
    };
    let script = (1..=20).fold(Script::stream().frame(&with_usage(&first(), 0)), |script, at| {
        script.frame(&with_usage(&text("word "), at * 100))
    });
    let upstream = Upstream::start([script.wait(&never)]).await;
    let server = limited(&upstream, "usage: running", 1000, true).await;
    let transcript = server.ask(&stream()).await.transcript();
    // 50 and 900 fit, 50 and 1000 do not.
    assert_eq!(count(&transcript), 10);
    let record = only(server).await;
    assert_eq!(record.counts(), (50, 1000, Some("running")));
    assert_eq!(record.terminal, "budget_spent");
}

#[tokio::test]
async fn the_local_model_stops_at_the_budget_too() {
    let yaml = "auth: none\nlimits: {per_key: {tokens_per_minute: 40}, stop_at_budget: true}\n";
    let server = Server::start_on_disk(yaml).await;
    let question = json!([{"role": "user", "content": "List available pets"}]);
    let request = ask(&json!({"model": "petstore-ai", "stream": true, "messages": question}));
    let transcript = server.ask(&request).await.transcript();
    assert_stopped(&transcript, 1);
    let record = only(server).await;
    assert_eq!((record.terminal.as_str(), record.source.as_deref()), ("budget_spent", Some("exact")));
    assert!((40..=60).contains(&(record.prompt_tokens + record.completion_tokens)), "{record:?}");
}

#[tokio::test]
async fn a_stream_that_fits_is_left_alone() {
    let upstream = Upstream::start([words(20).frame(&last("stop")).frame("[DONE]").end()]).await;
    let server = limited(&upstream, "", 1000, true).await;
    server.ask(&stream()).await.transcript().assert_contract(1, false);
    assert_eq!(only(server).await.ending(), ("completed", None, 200));
}

#[tokio::test]
async fn without_stop_at_budget_a_stream_continues_and_the_next_request_is_refused() {
    let upstream =
        Upstream::start([words(200).frame(&last("stop")).frame(&usage(50, 200)).frame("[DONE]").end()]).await;
    let server = limited(&upstream, "", 100, false).await;
    server.ask(&stream()).await.transcript().assert_contract(1, false);
    assert_eq!(server.ask(&stream()).await.error(429)["code"], "rate_limit_exceeded");
    assert_eq!(only(server).await.counts(), (50, 200, Some("exact")));
}

#[tokio::test]
async fn tokens_of_other_requests_of_the_key_count_too() {
    let (gate, never) = (Gate::new(), Gate::new());
    let long = words(1).wait(&gate).then((0..200).fold(Script::new(), |script, _| script.frame(&text("word "))));
    let upstream = Upstream::start([long.wait(&never)]).await;
    let server = limited(&upstream, "", 1000, true).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    super::read_words(&mut answer, 1).await;
    // Another request takes most of the rest.
    upstream.answer(Script::sse([first(), text("a"), last("stop"), usage(900, 50), "[DONE]".to_owned()]));
    assert_eq!(server.ask(&stream()).await.status, 200);
    gate.open();
    let rest = test_support::completion_stream::read(&answer.body().await);
    assert!(matches!(&rest.ending, Ending::Failed(error) if error["code"] == "token_budget_exhausted"), "{rest:#?}");
    assert!(count(&rest) < 60, "{}", count(&rest));
    // The other request's connection is kept.
    upstream.close_idle().await;
    upstream.await_closed().await;
    server.stop().await;
}
