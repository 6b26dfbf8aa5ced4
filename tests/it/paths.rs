//! Unknown paths and methods, and byte order marks before a body.

use serde_json::json;

use crate::contract_errors::{BAD, assert_is};
use crate::server::Server;
use test_support::http::Request;

#[tokio::test]
async fn a_byte_order_mark_before_json_is_skipped() {
    let server = Server::start("auth: none\n").await;
    let body = "\u{feff}{\"model\":\"petstore-ai\",\"messages\":[{\"role\":\"user\",\"content\":\"How many cats?\"}]}";
    let request = Request::new("POST", "/v1/chat/completions").body(body);
    assert_eq!(server.ask(&request).await.json()["object"], "chat.completion");
    let pet = json!({"species": "FISH", "name": "Wanda", "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
                     "color": "black", "price": "10.00"});
    let create = Request::new("POST", "/api/pets").header("content-type", "application/json");
    let created = server.ask(&create.body(format!("\u{feff}{pet}"))).await;
    assert_eq!(created.status, 201, "{}", created.json());
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let server = Server::start("auth: none\n").await;
    for (method, path) in [("POST", "/v1/x"), ("GET", "/v1"), ("GET", "/v1/"), ("POST", "/v1/moderations")] {
        let message = format!("Invalid URL ({method} {path})");
        let answer = server.ask(&Request::new(method, path)).await;
        assert_is(&answer, (404, BAD, None, None, &message), path);
        assert_eq!(answer.error(404)["message"], message);
    }
    for path in ["/chat/completions", "/v1//chat/completions", "/v1/chat/completions/", "/v1/v1/chat/completions"] {
        let message = format!("Invalid URL (POST {path}). Did you mean /v1/chat/completions?");
        assert_eq!(server.ask(&Request::new("POST", path)).await.error(404)["message"], message);
    }
    let problem = server.ask(&Request::new("GET", "/api/pets/")).await;
    assert_eq!((problem.status, problem.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(problem.json()["detail"], "There is nothing here. Did you mean /api/pets?");
    let cases = [
        ("GET", "/v1/embeddings", "POST"),
        ("GET", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/m", "GET"),
    ];
    for (method, path, allowed) in cases {
        let answer = server.ask(&Request::new(method, path)).await;
        assert_is(&answer, (405, BAD, Some("method_not_supported"), None, ""), path);
        let allow: Vec<_> = answer.header("allow").expect("Allow").split(',').map(str::trim).collect();
        assert!(allow.contains(&allowed) && !allow.contains(&method), "{path}: {allow:?}");
    }
    server.stop().await;
}
