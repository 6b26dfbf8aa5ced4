//! Clients that close their connection, with or without bytes after the request, and clients that close the sending
//! direction only.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::Server;
use test_support::becomes;
use test_support::config::one_model;
use test_support::frames::{first, request};
use test_support::http::{Connection, Request};
use test_support::upstream::{Gate, Script, Upstream};

/// Longest time from a client's close to the end of its work. No write to it could fail meanwhile.
const AT_ONCE: Duration = Duration::from_secs(5);
const SILENT: &str = "hold: 5m\nheartbeat: 5m\nevents: {heartbeat: 60s, subscribers: 1}\n";

/// Bytes after a request: none, an empty line, another request, and more than the read buffer takes.
fn behind() -> [Vec<u8>; 5] {
    let another = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    [Vec::new(), b"\r\n".to_vec(), another.to_vec(), another.repeat(1_000), b"POST /".repeat(200_000)]
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_upstream_connection_whatever_stands_behind_its_request() {
    for stream in [false, true] {
        for bytes in behind() {
            let never = Gate::new();
            let script = if stream { Script::stream().frame(&first()) } else { Script::new() };
            let upstream = Upstream::start([script.wait(&never)]).await;
            let server = Server::start(&format!("{}{SILENT}", one_model(&upstream, ""))).await;
            let mut client = server.connect().await;
            client.send(&Request::chat(&request(&json!({ "stream": stream })))).await;
            client.send_raw(&bytes).await;
            upstream.request(1).await;
            if stream {
                // Read, so that closing sends a FIN instead of a reset.
                client.answer().await.piece().await;
            }
            let left = Instant::now();
            drop(client);
            upstream.await_closed().await;
            assert!(left.elapsed() < AT_ONCE, "after {:?} with {} bytes behind", left.elapsed(), bytes.len());
            server.stop().await;
        }
    }
}

/// The metric while another request is in flight beside that for the metrics.
const BUSY: &str = "petstream_requests_in_flight 2";

async fn in_flight(server: &Server) -> String {
    let page = server.ask(&Request::new("GET", "/metrics")).await;
    page.text().lines().find(|line| line.starts_with("petstream_requests_in_flight ")).unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_leaves_an_event_stream_frees_its_place_whatever_stands_behind_its_request() {
    let server = Server::start(&format!("auth: none\n{SILENT}")).await;
    let place = async || server.ask(&Request::new("GET", "/api/events?wait=0")).await.status;
    for target in ["/api/events", "/api/events?topics=pets", "/api/events?wait=60"] {
        for bytes in behind() {
            let mut client = server.connect().await;
            client.send(&Request::new("GET", target)).await;
            client.send_raw(&bytes).await;
            if target.ends_with("wait=60") {
                // Asked for before, the place could be taken from this client.
                becomes(&BUSY.to_owned(), async || in_flight(&server).await).await;
                assert_eq!(place().await, 503);
            } else {
                client.answer().await.piece().await;
                assert_eq!(place().await, 503);
            }
            let left = Instant::now();
            drop(client);
            becomes(&200, place).await;
            assert!(left.elapsed() < AT_ONCE, "{target}: {:?} with {} bytes behind", left.elapsed(), bytes.len());
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_within_its_body_is_no_longer_in_flight() {
    let upstream = Upstream::start([]).await;
    let server = Server::start(&format!("{}limits: {{body_read: 1h}}\n", one_model(&upstream, ""))).await;
    let in_flight = async || in_flight(&server).await;
    let (idle, busy) = ("petstream_requests_in_flight 1".to_owned(), BUSY.to_owned());
    for body in [&b"content-length: 1000000\r\n\r\n{"[..], b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let mut client = server.connect().await;
        client.send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n").await;
        client.send_raw(body).await;
        becomes(&busy, in_flight).await;
        let left = Instant::now();
        drop(client);
        becomes(&idle, in_flight).await;
        assert!(left.elapsed() < AT_ONCE, "after {:?}", left.elapsed());
    }
    server.stop().await;
}

async fn half_closed(server: &Server, request: &Request) -> Connection {
    let mut client = server.connect().await;
    client.send(request).await;
    client.half_close().await;
    client
}

#[tokio::test]
async fn a_half_closed_connection_gets_the_answer_of_every_short_route() {
    const KEY: &str = "sk-alice-0123456789";
    let listed = Gate::new();
    let upstream = Upstream::start([]).await;
    let keys = format!("keys: [{{name: alice, key: {KEY}, scopes: [chat, store:read, store:write, stats]}}]\n");
    let all = format!("models: [{{name: '*', upstreams: [{{base_url: '{}'}}]}}]\n", upstream.url());
    let server = Server::start(&format!("{keys}{all}")).await;
    upstream.answer_models(Script::new().wait(&listed).then(Script::json(200, r#"{"object":"list","data":[]}"#)));
    let models = half_closed(&server, &Request::new("GET", "/v1/models").bearer(KEY)).await;
    let get = |path: &str| Request::new("GET", path).bearer(KEY);
    let pet = json!({"species": "FISH", "name": "Half", "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
        "color": "silver", "price": "0.10", "description": "A pet"});
    let chat = |body: &serde_json::Value| Request::chat(body).bearer(KEY);
    let routes = [
        (get("/healthz"), 200),
        (get("/readyz"), 200),
        (get("/metrics"), 200),
        (get("/api/pets"), 200),
        (get("/api/orders"), 200),
        (get("/api/inventory"), 200),
        (get("/api/me"), 200),
        (get("/api/stats"), 200),
        (get("/api/events?wait=0"), 200),
        (get("/"), 200),
        (get("/nowhere"), 404),
        (
            Request::new("POST", "/api/pets")
                .bearer(KEY)
                .header("content-type", "application/json")
                .body(pet.to_string()),
            201,
        ),
        (Request::new("POST", "/api/events/tickets").bearer(KEY), 200),
        (Request::chat(&request(&json!({}))), 401),
        (Request::chat(&request(&json!({}))).bearer("sk-wrong-0123456789"), 401),
        (chat(&json!({})), 400),
        (chat(&request(&json!({"messages": []}))), 400),
        (Request::new("GET", "/api/pets"), 401),
    ];
    // More than are answered at once: the last failed authentications are delayed.
    for round in 0..7 {
        for (request, status) in &routes {
            if round > 0 && *status != 401 {
                continue;
            }
            let mut client = half_closed(&server, request).await;
            assert_eq!(client.answer().await.whole().await.status, *status);
            assert!(client.closed_cleanly().await);
        }
    }
    listed.open();
    let mut models = models;
    assert_eq!(models.answer().await.whole().await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_all_answered() {
    let server = Server::start("auth: none\n").await;
    let mut client = server.connect().await;
    let count = 3_000;
    let all = "GET /api/inventory HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(count);
    client.send_raw(all.as_bytes()).await;
    client.half_close().await;
    for _ in 0..count {
        assert_eq!(client.answer().await.whole().await.status, 200);
    }
    assert!(client.closed_cleanly().await);
    server.stop().await;
}

#[tokio::test]
async fn half_closing_a_completion_or_event_stream_counts_as_leaving() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::new().wait(&never)]).await;
    let server = Server::start(&format!("{}{SILENT}", one_model(&upstream, ""))).await;
    let mut client = server.connect().await;
    client.send(&Request::chat(&request(&json!({"stream": true})))).await;
    upstream.request(1).await;
    client.half_close().await;
    assert!(client.closed_cleanly().await);
    upstream.await_closed().await;
    let mut client = half_closed(&server, &Request::new("GET", "/api/events?wait=60")).await;
    assert!(client.closed_cleanly().await);
    server.stop().await;
}
