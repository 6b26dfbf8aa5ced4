//! Base URLs with a query.

use serde_json::json;

use super::says;
use crate::server::Server;
use test_support::frames::request;
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

const QUERY: &str = "api-version=2024-10-21&code=verysecret";

#[tokio::test]
async fn a_query_is_sent_with_every_request_and_never_shown() {
    let quoting =
        json!({"error": {"message": format!("no /v1/chat/completions?{QUERY}"), "type": "invalid_request_error"}});
    let upstream = Upstream::start([says(&["a"]), Script::json(400, &quoting.to_string())]).await;
    upstream.answer_models(Script::json(200, r#"{"data": [{"id": "far"}]}"#));
    let yaml = format!(
        "auth: none\nmodels: [{{name: '*', upstreams: [{{base_url: '{}?{QUERY}', api_key: sk-azure, api_key_header: \
         api-key}}]}}]\n",
        upstream.url()
    );
    let server = Server::start_on_disk(&yaml).await;
    assert_eq!(server.ask(&Request::chat(&request(&json!({"stream": true})))).await.status, 200);
    let refused = server.ask(&Request::chat(&request(&json!({})))).await.error(400);
    assert_eq!(refused["message"], "no /v1/chat/completions?***");
    assert_eq!(server.ask(&Request::new("GET", "/v1/models")).await.json()["data"][1]["id"], "far");
    for (number, line) in [(1, "POST /v1/chat/completions"), (3, "GET /v1/models")] {
        let asked = upstream.request(number).await;
        assert_eq!(asked.line(), format!("{line}?{QUERY} HTTP/1.1"));
        assert_eq!((asked.header("api-key"), asked.header("authorization")), (Some("sk-azure"), None));
    }
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    assert!(metrics.text().contains(&upstream.name_of("")) && !metrics.text().contains("verysecret"));
    let records = server.records().await;
    assert_eq!(records[0].target.as_deref(), Some(&*upstream.name_of("")));
}
