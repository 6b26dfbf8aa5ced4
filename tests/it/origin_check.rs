//! The origin check: pages of other sites cannot use a local server without keys through a browser.

use serde_json::json;

use crate::server::Server;
use test_support::http::{Request, Whole};

/// A request with the headers that a browser adds for a page.
fn of_page(method: &str, target: &str, site: &str, origin: &str) -> Request {
    Request::new(method, target).header("sec-fetch-site", site).header("origin", origin)
}

/// A completion request that needs no preflight, since its content type is one of forms.
fn simple_chat(site: &str, origin: &str) -> Request {
    let body = json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "List dogs"}]});
    of_page("POST", "/v1/chat/completions", site, origin).header("content-type", "text/plain").body(body.to_string())
}

#[track_caller]
fn is_forbidden(answer: &Whole) {
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/problem+json")));
    assert_eq!(answer.json()["title"], "Forbidden");
    assert!(answer.json()["detail"].as_str().unwrap().contains("cors.allow_origins"));
}

#[tokio::test]
async fn foreign_origins_are_refused_by_a_server_without_keys() {
    let server = Server::start("auth: none\n").await;
    let evil = "https://evil.example";
    assert_eq!(server.ask(&simple_chat("cross-site", evil)).await.error(403)["code"], "origin_not_allowed");
    for (method, target) in [
        ("GET", "/api/pets"),
        ("GET", "/api/events?wait=0"),
        ("GET", "/api/me"),
        ("GET", "/metrics"),
        ("DELETE", "/api/events/sessions"),
        ("OPTIONS", "/api/pets"),
    ] {
        is_forbidden(&server.ask(&of_page(method, target, "cross-site", evil)).await);
        is_forbidden(&server.ask(&of_page(method, target, "same-site", "http://localhost:3000")).await);
    }
    let images_and_links = Request::new("GET", "/api/pets").header("sec-fetch-site", "cross-site");
    is_forbidden(&server.ask(&images_and_links).await);
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_host_name_that_resolves_to_the_server_is_refused() {
    let server = Server::start("auth: none\n").await;
    let mut connection = server.connect().await;
    for target in ["/api/pets", "http://evil.example/api/pets"] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: evil.example:4000\r\nsec-fetch-site: same-origin\r\n\r\n");
        connection.send_raw(head.as_bytes()).await;
        is_forbidden(&connection.answer().await.whole().await);
    }
    for line in ["GET /v1/models", "POST /v1/chat/completions"] {
        let head = format!("{line} HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\n\r\n");
        connection.send_raw(head.as_bytes()).await;
        let error = connection.answer().await.whole().await.error(403);
        let message = error["message"].as_str().unwrap();
        assert!(error["code"] == "host_not_allowed" && message.contains("cors.allow_origins"), "{error}");
        assert!(!message.contains("  "), "{message}");
    }
    connection.send_raw(b"GET /healthz HTTP/1.1\r\nhost: evil.example\r\n\r\n").await;
    assert_eq!(connection.answer().await.whole().await.status, 200, "a probe tells nothing");
    server.stop().await;
}

#[tokio::test]
async fn the_own_page_programs_and_allowed_origins_have_access() {
    let server = Server::start("auth: none\ncors: {allow_origins: [https://shop.example]}\n").await;
    let own = format!("http://localhost:{}", server.address.port());
    for request in [
        simple_chat("same-origin", &own),
        simple_chat("cross-site", "https://shop.example"),
        Request::new("GET", "/api/pets"),
        of_page("GET", "/api/pets", "same-origin", &own),
        // Entered into the address bar.
        Request::new("GET", "/api/pets").header("sec-fetch-site", "none"),
    ] {
        assert_eq!(server.ask(&request).await.status, 200);
    }
    // A link from another site, to a resource without data.
    assert_eq!(server.ask(&Request::new("GET", "/healthz").header("sec-fetch-site", "cross-site")).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn where_keys_are_required_the_origin_is_not_checked() {
    let server = Server::start("keys: [{name: alice, key: sk-alice-0123456789}]\n").await;
    let request = of_page("GET", "/api/pets", "cross-site", "https://evil.example").bearer("sk-alice-0123456789");
    let answer = server.ask(&request).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    server.stop().await;
}
