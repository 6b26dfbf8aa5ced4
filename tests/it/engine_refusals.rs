//! Refusals of the HTTP engine itself, before any layer: they have a body, a log line and a metric.

use serde_json::json;

use crate::server::Server;
use test_support::http::Request;
use test_support::log::Log;

/// The bytes of a request, and the status and reason of the refusal.
fn refused() -> [(String, u16, &'static str); 7] {
    let long = "x".repeat(70_000);
    [
        ("GET {} HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET {} HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), 400, "malformed"),
        ("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n".to_owned(), 400, "malformed"),
        (format!("GET {{}} HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"), 431, "head_too_large"),
        (format!("GET {{}}?{long} HTTP/1.1\r\nhost: x\r\n\r\n"), 431, "head_too_large"),
        (
            "POST {} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n".to_owned(),
            501,
            "unknown_transfer_coding",
        ),
        ("GET {} HTTP/2.0\r\nhost: x\r\n\r\n".to_owned(), 505, "unsupported_version"),
    ]
}

#[tokio::test]
async fn a_refusal_has_the_format_of_its_surface_and_an_id_and_ends_the_connection() {
    let server = Server::start("auth: none\n").await;
    for (request, status, _) in refused() {
        for path in ["/v1/models", "/api/pets"] {
            let mut connection = server.connect().await;
            connection.send_raw(request.replace("{}", path).as_bytes()).await;
            let answer = connection.answer().await.whole().await;
            assert_eq!(answer.status, status, "{path} {status}");
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
            if path.starts_with("/api") {
                assert_eq!(answer.header("content-type"), Some("application/problem+json"));
                assert_eq!(answer.json()["status"], json!(status));
            } else {
                assert_eq!(answer.error(status)["type"], "invalid_request_error");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_target_longer_than_any_url_is_refused_where_the_head_may_be_that_long() {
    let server = Server::start("auth: none\nlimits: {head: 256KiB}\n").await;
    let mut connection = server.connect().await;
    let target = "x".repeat(70_000);
    connection.send_raw(format!("GET /v1/{target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    let answer = connection.answer().await.whole().await;
    assert_eq!(answer.error(414)["code"], "request_target_too_long");
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    assert!(metrics.text().contains("petstream_http_refusals_total{reason=\"target_too_long\"} 1"));
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_not_complete_in_time_is_refused() {
    let log = Log::collect();
    let server = Server::start("auth: none\nlimits: {header_read: 50ms}\n").await;
    for path in ["/v1/models", "/api/pets"] {
        let mut connection = server.connect().await;
        connection.send_raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\n").as_bytes()).await;
        let answer = connection.answer().await.whole().await;
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
        if path.starts_with("/api") {
            assert_eq!(answer.json()["status"], json!(408));
        } else {
            assert_eq!(answer.error(408)["code"], "request_head_timeout");
        }
    }
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    assert!(metrics.text().contains("petstream_http_refusals_total{reason=\"head_timeout\"} 2"));
    server.stop().await;
    assert!(log.text().contains("head_timeout"), "{}", log.text());
}

#[tokio::test]
async fn a_refusal_of_a_head_has_no_body() {
    let server = Server::start("auth: none\n").await;
    let mut connection = server.connect().await;
    connection.send_raw(b"HEAD /v1/models HTTP/1.1\r\n\r\n").await;
    assert_eq!(connection.answer().await.status(), 400);
    // `closed_cleanly` fails if bytes follow the head.
    assert!(connection.closed_cleanly().await);
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_is_logged_and_counted_by_its_reason_and_shows_nothing_of_the_head() {
    let log = Log::collect();
    let server = Server::start("auth: none\n").await;
    for (request, ..) in refused() {
        let mut connection = server.connect().await;
        let request =
            request.replace("{}", "/v1/x?key=sk-secret").replace("host: x", "authorization: Bearer sk-secret");
        connection.send_raw(request.as_bytes()).await;
        connection.answer().await.whole().await;
    }
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    let metrics = metrics.text();
    assert!(metrics.contains("petstream_http_refusals_total{reason=\"malformed\"}"), "{metrics}");
    assert!(metrics.contains("petstream_http_refusals_total{reason=\"head_too_large\"} 2"), "{metrics}");
    assert!(metrics.contains("petstream_http_refusals_total{reason=\"unsupported_version\"} 1"), "{metrics}");
    server.stop().await;
    let lines: Vec<_> = log.text().lines().filter(|line| line.contains("head_too_large")).map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("/v1/x") && line.contains("431") && line.len() < 2_000), "{lines:?}");
    assert!(!log.text().contains("sk-secret"));
}
