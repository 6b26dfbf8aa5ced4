//! `GET /v1/models` in the shape of the caller's API.

use serde_json::json;

use crate::server::Server;
use test_support::http::Request;

const YAML: &str = "keys:
  - {name: all, key: sk-all-0123456789}
  - {name: other, key: sk-other-0123456789, models: [m]}
models: [{name: m, upstreams: [{base_url: 'http://127.0.0.1:9/v1'}]}]
";

fn get(path: &str, key: &str) -> Request {
    Request::new("GET", path).header("x-api-key", key).header("anthropic-version", "2023-06-01")
}

#[tokio::test]
async fn a_client_of_anthropics_api_gets_its_list() {
    let server = Server::start(YAML).await;
    let list = server.ask(&get("/v1/models?limit=20", "sk-all-0123456789")).await.json();
    let model = |id: &str| {
        json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-11-23T00:00:00Z",
            "apis": ["chat", "responses", "messages"]})
    };
    assert_eq!(list["data"], json!([model("petstore-ai"), model("m")]));
    assert_eq!(
        (&list["has_more"], &list["first_id"], &list["last_id"]),
        (&false.into(), &"petstore-ai".into(), &"m".into())
    );
    let one = server.ask(&get("/v1/models/m", "sk-all-0123456789")).await.json();
    assert_eq!(one, model("m"));
    let allowed = server.ask(&get("/v1/models", "sk-other-0123456789")).await.json();
    assert_eq!(allowed["data"], json!([model("m")]));
    let hidden = server.ask(&get("/v1/models/petstore-ai", "sk-other-0123456789")).await;
    assert_eq!((hidden.status, &hidden.json()["error"]["type"]), (404, &"not_found_error".into()));
    // Without the header, OpenAI's.
    let request = Request::new("GET", "/v1/models").bearer("sk-all-0123456789");
    assert_eq!(server.ask(&request).await.json()["object"], "list");
    server.stop().await;
}
