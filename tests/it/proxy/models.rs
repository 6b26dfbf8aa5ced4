//! The list of models: configured ones, and those of a `*` upstream.

use std::time::Instant;

use serde_json::{Value, json};

use crate::server::Server;
use test_support::frames::answer;
use test_support::http::Request;
use test_support::upstream::{Gate, Script, Upstream};

async fn server(upstream: &Upstream) -> Server {
    let yaml = format!(
        "auth: none\nmodels:\n  - {{name: mine, upstreams: [{{base_url: 'http://127.0.0.1:1/v1'}}]}}\n  \
         - {{name: '*', upstreams: [{{base_url: '{}', api_key: sk-upstream-key}}]}}\n",
        upstream.url()
    );
    Server::start(&yaml).await
}

async fn ids(server: &Server) -> Vec<String> {
    let list = server.ask(&Request::new("GET", "/v1/models")).await;
    assert_eq!(list.status, 200);
    let list = list.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    for model in models {
        let keys: Vec<_> = model.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["id", "object", "created", "owned_by", "apis"]);
        assert_eq!(model["object"], "model");
        assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
    }
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

fn list(models: &Value) -> Script {
    Script::json(200, &json!({"object": "list", "data": models}).to_string())
}

#[tokio::test]
async fn lists_are_merged_and_cached() {
    let upstream = Upstream::start([]).await;
    upstream.answer_models(list(&json!([
        {"id": "far/away:1", "object": "model", "created": 5, "owned_by": "somebody", "extra": 1},
        {"id": "mine", "object": "model", "created": 5, "owned_by": "somebody"},
        {"id": "bare"},
    ])));
    let server = server(&upstream).await;
    let all = ["petstore-ai", "mine", "far/away:1", "bare"];
    for _ in 0..3 {
        assert_eq!(ids(&server).await, all);
    }
    // Some SDKs encode the name, others don't.
    for path in ["/v1/models/far/away:1", "/v1/models/far%2Faway%3A1"] {
        let far = server.ask(&Request::new("GET", path)).await.json();
        assert_eq!(
            far,
            json!({"id": "far/away:1", "object": "model", "created": 5, "owned_by": "somebody", "apis": ["chat", "responses", "messages"]})
        );
    }
    assert_eq!(upstream.requests().len(), 1, "one look, then the cache");
    let asked = upstream.request(1).await;
    assert_eq!(asked.line(), "GET /v1/models HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer sk-upstream-key"));
    server.stop().await;
}

#[tokio::test]
async fn without_the_local_model_its_name_is_like_any_other() {
    let ask = || Request::chat(&json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "hi"}]}));
    let alone = Server::start("auth: none\nlocal_model: false\n").await;
    assert!(ids(&alone).await.is_empty());
    for request in [ask(), Request::new("GET", "/v1/models/petstore-ai")] {
        assert_eq!(alone.ask(&request).await.error(404)["code"], "model_not_found");
    }
    alone.stop().await;

    let upstream = Upstream::start([Script::json(200, &answer("hello"))]).await;
    let models = format!("models: [{{name: '*', upstreams: [{{base_url: '{}'}}]}}]\n", upstream.url());
    let proxy = Server::start(&format!("auth: none\nlocal_model: false\n{models}")).await;
    let whole = proxy.ask(&ask()).await;
    assert_eq!((whole.status, &whole.json()["choices"][0]["message"]["content"]), (200, &json!("hello")));
    let forwarded: Value = serde_json::from_slice(&upstream.request(1).await.body).unwrap();
    assert_eq!(forwarded["model"], "petstore-ai");
    proxy.stop().await;
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_found_where_the_route_for_all_names_would_serve_it() {
    let upstream = Upstream::start([]).await;
    upstream.answer_models(list(&json!([{"id": "far"}])));
    let with_all = server(&upstream).await;
    let found = with_all.ask(&Request::new("GET", "/v1/models/far-2026-01-01")).await.json();
    assert_eq!((&found["id"], &found["object"]), (&json!("far-2026-01-01"), &json!("model")));
    with_all.stop().await;
    let without = Server::in_front_of(&upstream).await;
    assert_eq!(without.ask(&Request::new("GET", "/v1/models/m")).await.json()["id"], "m");
    assert_eq!(
        without.ask(&Request::new("GET", "/v1/models/far-2026-01-01")).await.error(404)["code"],
        "model_not_found"
    );
    without.stop().await;
}

#[tokio::test]
async fn concurrent_clients_share_one_query() {
    let upstream = Upstream::start([]).await;
    upstream.answer_models(list(&json!([{"id": "far"}])));
    let server = server(&upstream).await;
    let all = futures_util::future::join_all((0..8).map(|_| ids(&server))).await;
    assert!(all.iter().all(|ids| ids.last().map(String::as_str) == Some("far")), "{all:?}");
    assert_eq!(upstream.requests().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn an_upstream_that_fails_does_not_fail_the_list() {
    for script in [
        Script::json(500, "{}"),
        Script::json(401, "{}"),
        Script::json(200, "no list"),
        Script::json(200, "{\"data\":7}"),
        Script::new().close(),
        Script::new().write("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{").close(),
    ] {
        let upstream = Upstream::start([]).await;
        upstream.answer_models(script);
        let server = server(&upstream).await;
        assert_eq!(ids(&server).await, ["petstore-ai", "mine"]);
        assert_eq!(ids(&server).await, ["petstore-ai", "mine"], "nor is it asked again at once");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_or_silent_does_not_keep_the_list_waiting() {
    let gate = Gate::new();
    let mut gone = Upstream::start([]).await;
    gone.unlisten().await;
    let silent = Upstream::start([]).await;
    silent.answer_models(Script::new().wait(&gate));
    for upstream in [&gone, &silent] {
        let server = server(upstream).await;
        let began = Instant::now();
        assert_eq!(ids(&server).await, ["petstore-ai", "mine"]);
        assert_eq!(ids(&server).await, ["petstore-ai", "mine"]);
        assert!(began.elapsed().as_secs() < 20, "waited {:?}", began.elapsed());
        server.stop().await;
    }
    silent.await_closed().await;
}

#[tokio::test]
async fn a_model_name_that_is_not_utf_8_is_not_found() {
    let server = Server::start("auth: none\n").await;
    for name in ["%ff", "petstore-ai%ff", "a%2Fb%c3", "%ff%fe/b"] {
        let error = server.ask(&Request::new("GET", &format!("/v1/models/{name}"))).await.error(404);
        assert_eq!((&error["type"], &error["code"]), (&json!("invalid_request_error"), &json!("model_not_found")));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_more_than_4_mib_is_left_out() {
    for (padding, known) in [(4_000_000, true), (4 << 20, false)] {
        let upstream = Upstream::start([]).await;
        let model = json!({"id": "theirs", "object": "model", "created": 1, "owned_by": "x", "x": "x".repeat(padding)});
        upstream.answer_models(list(&json!([model])));
        let server = server(&upstream).await;
        assert_eq!(ids(&server).await.contains(&"theirs".to_owned()), known);
        server.stop().await;
    }
}
