//! The metrics, and the access to them.

use std::net::SocketAddr;

use crate::server::Server;
use test_support::http::{self, Connection, Request};
use test_support::soon;

const KEYS: &str = "\
keys:
  - {name: scraper, key: sk-scraper-0123456789, scopes: [stats], limits: {requests_per_minute: 1}}
  - {name: alice, key: sk-alice-0123456789, limits: {requests_per_minute: 1}}
";

fn scrape() -> Request {
    Request::new("GET", "/metrics")
}

/// The text of the metrics listener.
async fn page(address: SocketAddr) -> String {
    let answer = http::ask(address, &scrape()).await;
    assert_eq!(answer.status, 200);
    answer.text().to_owned()
}

fn has(page: &str, series: &str) -> bool {
    page.lines().any(|line| line == series)
}

#[tokio::test]
async fn the_main_listener_serves_metrics_to_keys_with_the_scope_only() {
    let server = Server::start(KEYS).await;
    assert_eq!(server.ask(&scrape()).await.status, 401);
    assert_eq!(server.ask(&scrape().bearer("sk-alice-0123456789")).await.status, 403);
    // More often than its limit: monitoring must work when limits are reached.
    for _ in 0..3 {
        let answer = server.ask(&scrape().bearer("sk-scraper-0123456789")).await;
        assert_eq!(answer.status, 200);
        let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert!(has(answer.text(), "petstream_requests_in_flight 1"), "the scrape itself\n{}", answer.text());
        assert!(answer.text().ends_with("# EOF\n"));
    }
    assert_eq!(server.metrics, None);
    server.stop().await;
}

#[tokio::test]
async fn refusals_are_counted_by_limit_and_requests_by_route() {
    let server = Server::start(KEYS).await;
    let ask = |path: &str| Request::new("GET", path).bearer("sk-alice-0123456789");
    assert_eq!(server.ask(&ask("/v1/models/petstore-ai")).await.status, 200);
    assert_eq!(server.ask(&ask("/v1/models/other")).await.status, 429);
    let answer = server.ask(&scrape().bearer("sk-scraper-0123456789")).await;
    for series in [
        r#"petstream_requests_total{route="/v1/models/{*id}",method="GET",status="200"} 1"#,
        r#"petstream_requests_total{route="/v1/models/{*id}",method="GET",status="429"} 1"#,
        r#"petstream_limit_refusals_total{limit="requests_per_minute",whose="key"} 1"#,
    ] {
        assert!(has(answer.text(), series), "{series}\n{}", answer.text());
    }
    server.stop().await;
}

#[tokio::test]
async fn the_metrics_listener_serves_metrics_and_probes_without_a_key_and_nothing_else() {
    let server = Server::start("metrics: {listen: 127.0.0.1:0}\n").await;
    let open = server.metrics.unwrap();
    assert!(page(open).await.contains("petstream_build_info{version="));
    assert_eq!(http::ask(open, &Request::new("GET", "/healthz")).await.status, 200);
    assert_eq!(http::ask(open, &Request::new("GET", "/readyz")).await.status, 200);
    assert_eq!(http::ask(open, &Request::new("POST", "/metrics")).await.status, 405);
    for closed in ["/v1/models", "/api/pets", "/"] {
        assert_eq!(http::ask(open, &Request::new("GET", closed)).await.status, 404, "{closed}");
    }
    assert_eq!(server.ask(&scrape()).await.status, 401, "there a key is asked for still");
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(open).await.is_err());
}

#[tokio::test]
async fn the_drain_is_seen_on_the_metrics_own_listener() {
    let server = Server::start("auth: none\nmetrics: {listen: 127.0.0.1:0}\n").await;
    let (main, open) = (server.address, server.metrics.unwrap());
    let mut slow = Connection::open(main).await;
    slow.send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{").await;
    soon("the request to arrive", async { while !has(&page(open).await, "petstream_requests_in_flight 1") {} }).await;
    let stopped = tokio::spawn(server.stop());
    let ready = async || http::ask(open, &Request::new("GET", "/readyz")).await.status;
    soon("not to be ready", async { while ready().await != 503 {} }).await;
    assert!(has(&page(open).await, "petstream_requests_in_flight 1"));
    drop(slow);
    stopped.await.unwrap();
    assert!(tokio::net::TcpStream::connect(open).await.is_err());
}

#[tokio::test]
async fn a_head_request_is_not_mistaken_for_a_client_that_left() {
    let server = Server::start("auth: none\nmetrics: {listen: 127.0.0.1:0}\n").await;
    let open = server.metrics.unwrap();
    for (path, route) in [("/healthz", "/healthz"), ("/v1/models/petstore-ai", "/v1/models/{*id}"), ("/no", "other")] {
        let mut connection = server.connect().await;
        let status = connection.ask(&Request::new("HEAD", path)).await.status();
        let over = async { while !has(&page(open).await, "petstream_requests_in_flight 0") {} };
        soon("the request to be over", over).await;
        let page = page(open).await;
        let series = format!(r#"petstream_requests_total{{route="{route}",method="HEAD",status="{status}"}} 1"#);
        assert!(has(&page, &series) && !page.contains(r#"status="499""#), "{series}\n{page}");
    }
    server.stop().await;
}
