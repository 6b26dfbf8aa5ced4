//! `POST /v1/completions`, streamed and whole.

use std::time::Duration;

use serde_json::json;

use super::{EVERY, chunk, completion, usage};
use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::{model, one_model};
use test_support::frames::frame;
use test_support::http::{Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

const ANSWER: &str = "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1, \"model\":\"up\",\"choices\":[{\"text\":\" hi\",\
     \"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\
     \"total_tokens\":5}}";

async fn recording(upstream: &Upstream) -> Server {
    Server::start_on_disk(&one_model(upstream, EVERY)).await
}

#[tokio::test]
async fn a_whole_answer_passes_byte_for_byte() {
    let upstream = Upstream::start([Script::json(200, ANSWER)]).await;
    let server = recording(&upstream).await;
    let body = r#"{"prompt":"Say hi.","model":"m", "logit_bias":{"50256":-1e2},"echo":false}"#;
    let answer = server.ask(&Request::new("POST", "/v1/completions").body(body)).await;
    assert_eq!((answer.status, answer.text()), (200, ANSWER));
    let asked = upstream.request(1).await;
    assert_eq!((asked.line(), asked.text()), ("POST /v1/completions HTTP/1.1", body));
    let record = server.records().await.remove(0);
    assert_eq!((&*record.operation, record.streamed), ("completions", false));
    assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (3, 2, Some("exact")));
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_and_its_usage_is_hidden() {
    for include in [false, true] {
        let frames = [chunk("a", None), chunk("b", None), chunk("", Some("stop")), usage(4, 9), "[DONE]".to_owned()];
        let upstream = Upstream::start([Script::sse(&frames)]).await;
        let server = recording(&upstream).await;
        let more = if include {
            json!({"stream": true, "stream_options": {"include_usage": true}})
        } else {
            json!({"stream": true})
        };
        let answer = server.ask(&completion(&more)).await;
        assert_eq!(answer.transcript().ending, Ending::Complete);
        let shown = frames.iter().filter(|data| include || !data.contains("usage")).map(|data| frame(data));
        assert_eq!(answer.text(), shown.collect::<String>());
        assert_eq!(upstream.request(1).await.header("accept"), Some("text/event-stream"));
        let asked: serde_json::Value = serde_json::from_str(upstream.request(1).await.text()).unwrap();
        assert_eq!(asked["stream_options"], json!({"include_usage": true}));
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, record.streamed, &*record.terminal), ("completions", true, "completed"));
        assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (4, 9, Some("exact")));
        assert!(record.first_token_us.is_some());
    }
}

#[tokio::test]
async fn tokens_of_a_stream_without_usage_are_counted() {
    let frames = [chunk("a", None), chunk("b", None), chunk("", Some("length"))];
    let upstream = Upstream::start([Script::sse(&frames)]).await;
    let server = recording(&upstream).await;
    // Without `[DONE]`: all choices have finished.
    assert_eq!(server.ask(&completion(&json!({"stream": true}))).await.transcript().ending, Ending::Complete);
    let record = server.records().await.remove(0);
    assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (1, 2, Some("counted")));
}

#[tokio::test]
async fn each_prompt_has_choices_of_its_own() {
    let second = chunk("b", Some("stop")).replace("\"index\":0", "\"index\":1");
    let upstream = Upstream::start([
        Script::sse([chunk("a", Some("stop")), second.clone()]),
        Script::sse([chunk("a", Some("stop"))]),
    ])
    .await;
    let server = recording(&upstream).await;
    let ask = completion(&json!({"stream": true, "prompt": ["x", "y"]}));
    assert_eq!(server.ask(&ask).await.transcript().ending, Ending::Complete);
    let Ending::Failed(error) = server.ask(&ask).await.transcript().ending else { panic!("one choice is missing") };
    assert_eq!(error["code"], "upstream_closed");
    server.stop().await;
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive() {
    let gate = Gate::new();
    let script = Script::stream().frame(&chunk("a", None)).wait(&gate).frame(&chunk("", Some("stop"))).frame("[DONE]");
    let upstream = Upstream::start([script.end()]).await;
    let server = Server::start(&format!("{}heartbeat: 1s\n", one_model(&upstream, EVERY))).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&completion(&json!({"stream": true}))).await;
    assert_eq!(answer.piece().await, Piece::Data(frame(&chunk("a", None)).into()));
    assert_eq!(answer.piece().await, Piece::Data(": keep-alive\n\n".into()));
    gate.open();
    let rest = String::from_utf8(answer.body().await).unwrap();
    assert_eq!(rest, frame(&chunk("", Some("stop"))) + &frame("[DONE]"));
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn another_target_takes_over_before_the_first_token() {
    let failing = Upstream::start([Script::stream().frame(&chunk("", None)).close()]).await;
    let upstream = Upstream::start([Script::sse([chunk("a", Some("stop")), "[DONE]".to_owned()])]).await;
    let yaml = model(&[(&failing, EVERY), (&upstream, &format!("priority: 1, {EVERY}"))], &[]);
    let server = Server::start(&yaml).await;
    let text = server.ask(&completion(&json!({"stream": true}))).await.text().to_owned();
    assert_eq!(text, frame(&chunk("a", Some("stop"))) + &frame("[DONE]"));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstream() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().frame(&chunk("a", None)).wait(&never)]).await;
    let server = recording(&upstream).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&completion(&json!({"stream": true}))).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));
    connection.reset();
    upstream.await_closed().await;
    let record = server.records().await.remove(0);
    assert_eq!((&*record.operation, &*record.terminal, record.completion_tokens), ("completions", "client_gone", 1));
}

#[tokio::test]
async fn used_up_tokens_end_a_stream_with_a_chunk_of_its_own_kind() {
    let words = (0..40).map(|_| chunk("word ", None));
    let upstream = Upstream::start([Script::sse(words).wait(&Gate::new())]).await;
    let limits = "limits: {total: {tokens_per_minute: 20}, stop_at_budget: true}\n";
    let server = Server::start(&format!("{}{limits}", one_model(&upstream, EVERY))).await;
    let transcript = server.ask(&completion(&json!({"stream": true}))).await.transcript();
    let Ending::Failed(error) = &transcript.ending else { panic!("{transcript:#?}") };
    assert_eq!(error["code"], "token_budget_exhausted");
    let last = transcript.choices().last().unwrap();
    assert_eq!(*last, json!({"index": 0, "text": "", "logprobs": null, "finish_reason": "length"}));
    server.stop().await;
}

#[tokio::test]
async fn usage_is_not_asked_of_a_target_that_refuses_it() {
    let refusal = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let whole = || Script::sse([chunk("a", Some("stop")), "[DONE]".to_owned()]);
    let upstream = Upstream::start([Script::json(400, refusal), whole(), whole()]).await;
    let server = Server::start(&one_model(&upstream, EVERY)).await;
    for _ in 0..2 {
        assert_eq!(server.ask(&completion(&json!({"stream": true}))).await.transcript().ending, Ending::Complete);
    }
    assert!(upstream.requests()[1..].iter().all(|request| !request.text().contains("stream_options")));
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_never_begins_is_a_timeout() {
    let upstream = Upstream::start([Script::stream().wait(&Gate::new())]).await;
    let server =
        Server::start(&one_model(&upstream, &format!("{EVERY}, timeouts: {{first_token: 300ms, idle: 300ms}}"))).await;
    let before = std::time::Instant::now();
    assert_eq!(server.ask(&completion(&json!({"stream": true}))).await.error(504)["code"], "upstream_timeout");
    assert!(before.elapsed() < Duration::from_secs(10));
    server.stop().await;
}
