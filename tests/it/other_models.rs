//! Request members that name other models, or that lenient upstreams read as `model`: a key's list of models must
//! hold against them.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::frames::{answer, request};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

/// A key that may use `m` only, and one that may use every model.
const NARROW: &str = "sk-narrow-0123456789";
const FREE: &str = "sk-free-0123456789";

async fn server(upstream: &Upstream) -> Server {
    let keys = format!("keys: [{{name: narrow, key: {NARROW}, models: [m]}}, {{name: free, key: {FREE}}}]\n");
    let models = format!("models: [{{name: m, upstreams: [{{base_url: '{}'}}]}}]\n", upstream.url());
    Server::start(&format!("{keys}{models}")).await
}

fn with(member: &str, value: &Value) -> Value {
    let mut body = request(&json!({}));
    body[member] = value.clone();
    body
}

#[tokio::test]
async fn a_key_with_a_list_of_models_names_no_others_and_nothing_of_such_a_request_reaches_an_upstream() {
    let upstream = Upstream::start([]).await;
    let server = server(&upstream).await;
    let others = [
        ("models", json!(["gpt-5"])),
        ("route", json!("fallback")),
        ("fallbacks", json!([{"model": "gpt-5"}])),
        ("extra_body", json!({"models": ["gpt-5"]})),
        ("MODELS", json!(["gpt-5"])),
    ];
    for (member, value) in &others {
        let error = server.ask(&Request::chat(&with(member, value)).bearer(NARROW)).await.error(400);
        assert_eq!(error["type"], "invalid_request_error");
        let param = error["param"].as_str().unwrap();
        assert!(param.to_lowercase().contains(&member.to_lowercase()), "{member}: {error}");
    }
    assert!(upstream.requests().is_empty());
    for (member, value) in &others {
        upstream.answer(Script::json(200, &answer("hi")));
        assert_eq!(server.ask(&Request::chat(&with(member, value)).bearer(FREE)).await.status, 200, "{member}");
    }
    assert_eq!(upstream.requests().len(), others.len());
    server.stop().await;
}

#[tokio::test]
async fn a_member_that_a_case_insensitive_reader_takes_for_a_known_one_is_refused() {
    let upstream = Upstream::start([]).await;
    let server = server(&upstream).await;
    for member in ["Model", "MAX_TOKENS", "meſſages", "Stream"] {
        for key in [NARROW, FREE] {
            let error = server.ask(&Request::chat(&with(member, &json!("gpt-5"))).bearer(key)).await.error(400);
            assert_eq!(error["param"], member, "{error}");
        }
    }
    assert!(upstream.requests().is_empty());
    server.stop().await;
}
