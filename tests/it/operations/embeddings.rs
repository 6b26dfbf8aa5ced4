//! `POST /v1/embeddings`.

use serde_json::json;

use super::{EVERY, embeddings};
use crate::server::Server;
use test_support::config::{model, one_model};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

/// An answer with members, digits and white space that no serializer would write.
const ANSWER: &str = "{\"object\":\"list\", \"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.10,-1.5e-3,2]}],\n \
     \"model\":\"e-2026\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7},\"x\":1}";

#[tokio::test]
async fn request_and_answer_pass_byte_for_byte() {
    let upstream = Upstream::start([Script::json(200, ANSWER)]).await;
    let server = Server::start_on_disk(&one_model(&upstream, EVERY)).await;
    let body = r#"{ "input":["a", "b\u0063"], "model":"m","encoding_format":"base64", "dimensions":2.0,"task":"x"}"#;
    let request = Request::new("POST", "/v1/embeddings").header("traceparent", "00-1-2-01").body(body);
    let answer = server.ask(&request).await;
    assert_eq!((answer.status, answer.text()), (200, ANSWER));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let asked = upstream.request(1).await;
    assert_eq!((asked.line(), asked.text()), ("POST /v1/embeddings HTTP/1.1", body));
    assert_eq!((asked.header("accept"), asked.header("traceparent")), (Some("application/json"), Some("00-1-2-01")));
    let record = server.records().await.remove(0);
    assert_eq!((&*record.operation, &*record.model, record.streamed), ("embeddings", "m", false));
    assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (7, 0, Some("exact")));
    assert_eq!((record.answered_model.as_deref(), &*record.terminal), (Some("e-2026"), "completed"));
    assert_eq!(record.first_token_us, None, "embeddings have no first token");
}

#[tokio::test]
async fn without_usage_the_estimate_of_the_input_counts() {
    let answer = r#"{"object":"list","data":[{"index":0,"embedding":"AAAA"}]}"#;
    let upstream = Upstream::start([Script::json(200, answer)]).await;
    let server = Server::start_on_disk(&one_model(&upstream, EVERY)).await;
    // Two texts of 8 bytes, and none of the answer.
    assert_eq!(server.ask(&embeddings(&json!({"input": ["12345678", "12345678"]}))).await.status, 200);
    let record = server.records().await.remove(0);
    assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (4, 0, Some("estimated")));
}

#[tokio::test]
async fn the_input_is_reserved_and_settled_under_the_limit_of_tokens() {
    let upstream = Upstream::start([Script::json(200, ANSWER)]).await;
    let yaml = one_model(&upstream, EVERY);
    let server = Server::start(&format!("{yaml}limits: {{total: {{tokens_per_minute: 1000}}}}\n")).await;
    let tokens = |count: usize| embeddings(&json!({"input": vec![1; count]}));
    let refused = server.ask(&tokens(1001)).await;
    assert_eq!((refused.status, refused.header("x-should-retry")), (429, Some("false")), "it can never fit");
    let answer = server.ask(&tokens(900)).await;
    assert_eq!(answer.status, 200);
    // The upstream's count of 7 takes the place of the estimate.
    let after = server.ask(&Request::new("GET", "/v1/models")).await;
    assert_eq!(after.header("x-ratelimit-remaining-tokens"), Some("993"));
    server.stop().await;
}

#[tokio::test]
async fn another_target_takes_over() {
    let busy = Upstream::start([Script::json(503, r#"{"error":{"message":"Busy."}}"#)]).await;
    let upstream = Upstream::start([Script::json(200, ANSWER)]).await;
    let yaml = model(&[(&busy, EVERY), (&upstream, &format!("priority: 1, {EVERY}"))], &[]);
    let server = Server::start_on_disk(&yaml).await;
    assert_eq!(server.ask(&embeddings(&json!({}))).await.text(), ANSWER);
    let record = server.records().await.remove(0);
    assert_eq!((record.attempts, record.target.as_deref()), (2, Some(&*upstream.name())));
}

#[tokio::test]
async fn what_is_no_list_of_embeddings_is_an_error() {
    for (status, body, shown, code) in [
        (200, r#"{"object":"list","data":[]}"#, 502, Some("upstream_malformed")),
        (200, "<html>", 502, Some("upstream_malformed")),
        (200, r#"{"error":{"message":"Gone.","code":"gone"}}"#, 502, Some("gone")),
        (400, r#"{"error":{"message":"prompt is too long: 9 tokens"}}"#, 400, Some("context_length_exceeded")),
        (401, r#"{"error":{"message":"Bad key."}}"#, 502, Some("upstream_auth")),
    ] {
        let upstream = Upstream::start([Script::json(status, body)]).await;
        let server = Server::start_on_disk(&one_model(&upstream, EVERY)).await;
        let error = server.ask(&embeddings(&json!({}))).await.error(shown);
        assert_eq!(error["code"].as_str(), code, "{body}");
        if code == Some("context_length_exceeded") {
            assert_eq!(error["param"], "input");
        }
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, record.status), ("embeddings", shown));
    }
}

#[tokio::test]
async fn invalid_requests_name_the_parameter() {
    let server = Server::start("auth: none\n").await;
    for (more, param) in [
        (json!({"input": null}), Some("input")),
        (json!({"input": [1, "a"]}), Some("input[1]")),
        (json!({"stream": true}), Some("stream")),
        (json!({"model": 1}), Some("model")),
    ] {
        assert_eq!(server.ask(&embeddings(&more)).await.error(400)["param"].as_str(), param, "{more}");
    }
    server.stop().await;
}
