//! Every route behind the one stack of layers: without a key, with a key that lacks the scope, from a page of another
//! origin, over the limit of requests, and with methods that it does not have.

use std::time::Duration;

use serde_json::json;

use crate::server::Server;
use test_support::http::{Request, Whole};

/// The format of a route's failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    OpenAi,
    Anthropic,
    Problem,
}
use Surface::{Anthropic, OpenAi, Problem};

/// The access that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// Nothing: it is public.
    No,
    /// Any valid key.
    Any,
    /// A key with this scope.
    With(&'static str),
}
use Key::{Any, No, With};

/// A route, and what must hold for it.
struct Row {
    method: &'static str,
    path: &'static str,
    surface: Surface,
    key: Key,
    /// Whether its requests count against the limit of requests a minute.
    metered: bool,
    /// Whether requests of pages of other origins are refused by a server without keys.
    origin_checked: bool,
}

const fn row(method: &'static str, path: &'static str, surface: Surface, key: Key, metered: bool) -> Row {
    Row { method, path, surface, key, metered, origin_checked: true }
}

const fn unchecked(method: &'static str, path: &'static str) -> Row {
    Row { method, path, surface: OpenAi, key: No, metered: false, origin_checked: false }
}

/// The table. A route of the server that is not here, or one here that the server does not have, fails a test.
const ROWS: [Row; 32] = [
    row("POST", "/v1/chat/completions", OpenAi, With("chat"), true),
    row("POST", "/v1/completions", OpenAi, With("chat"), true),
    row("POST", "/v1/embeddings", OpenAi, With("chat"), true),
    row("POST", "/v1/responses", OpenAi, With("chat"), true),
    row("POST", "/v1/messages", Anthropic, With("chat"), true),
    row("POST", "/v1/messages/count_tokens", Anthropic, With("chat"), true),
    row("GET", "/v1/models", OpenAi, With("chat"), true),
    row("GET", "/v1/models/{*id}", OpenAi, With("chat"), true),
    row("GET", "/api/pets", Problem, With("store:read"), true),
    row("POST", "/api/pets", Problem, With("store:write"), true),
    row("GET", "/api/pets/{id}", Problem, With("store:read"), true),
    row("PUT", "/api/pets/{id}", Problem, With("store:write"), true),
    row("PATCH", "/api/pets/{id}", Problem, With("store:write"), true),
    row("DELETE", "/api/pets/{id}", Problem, With("store:write"), true),
    row("GET", "/api/orders", Problem, With("store:read"), true),
    row("POST", "/api/orders", Problem, With("store:write"), true),
    row("GET", "/api/orders/{id}", Problem, With("store:read"), true),
    row("PATCH", "/api/orders/{id}", Problem, With("store:write"), true),
    row("GET", "/api/inventory", Problem, With("store:read"), true),
    row("GET", "/api/events", Problem, With("store:read"), true),
    row("GET", "/api/events/data", Problem, With("store:read"), true),
    row("GET", "/api/events/{topic}", Problem, With("store:read"), true),
    row("POST", "/api/events/tickets", Problem, With("store:read"), true),
    row("POST", "/api/events/sessions", Problem, With("store:read"), true),
    row("DELETE", "/api/events/sessions", Problem, No, false),
    row("GET", "/api/me", Problem, Any, false),
    row("GET", "/api/stats", Problem, With("stats"), false),
    row("GET", "/metrics", Problem, With("stats"), false),
    unchecked("GET", "/healthz"),
    unchecked("GET", "/readyz"),
    unchecked("GET", "/"),
    unchecked("GET", "/assets/{name}"),
];

/// The methods of HTTP, but for HEAD, which is GET without a body, and CONNECT, which has no path.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
const FOREIGN: &str = "https://evil.example";
const SHOP: &str = "https://shop.example";

impl Row {
    /// A path that the template matches. Streams of events are requested as pages, which end.
    fn target(&self) -> String {
        let path = self.path.replace("{*id}", "petstore-ai").replace("{topic}", "pets").replace("{name}", "none.js");
        let path = path.replace("{id}", "018f0000-0000-7000-8000-000000000000");
        let reads_events = self.method == "GET" && path.starts_with("/api/events");
        if reads_events { format!("{path}?wait=0") } else { path }
    }

    /// A request that the layers let pass, whatever the handler makes of it.
    fn request(&self, method: &str) -> Request {
        let request = Request::new(method, &self.target());
        if matches!(method, "POST" | "PUT" | "PATCH") {
            return request.header("content-type", "application/json").body(json!({}).to_string());
        }
        request
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    #[track_caller]
    fn assert_fails(&self, answer: &Whole, status: u16, code: Option<&str>) {
        assert_eq!(answer.status, status, "{}", self.name());
        assert!(answer.header("x-request-id").is_some(), "{}", self.name());
        match self.surface {
            OpenAi => assert_eq!(answer.error(status)["code"].as_str(), code, "{}", self.name()),
            Anthropic => {
                assert_eq!((answer.status, &answer.json()["type"]), (status, &"error".into()), "{}", self.name());
                assert!(answer.json()["error"]["type"].is_string(), "{}", self.name());
            }
            Problem => {
                assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", self.name());
                assert_eq!(answer.json()["status"], status, "{}", self.name());
            }
        }
    }
}

/// Whether the layers have let a request pass: the handler's own answers have other statuses.
fn passed(answer: &Whole) -> bool {
    !matches!(answer.status, 401 | 403 | 405 | 429)
}

const KEYS: &str = "keys:
  - {name: all, key: sk-all-0123456789, scopes: [chat, 'store:read', 'store:write', stats]}
  - {name: no-chat, key: no-chat-0123456789, scopes: ['store:read', 'store:write', stats]}
  - {name: no-read, key: no-store:read-0123456789, scopes: [chat, 'store:write', stats]}
  - {name: no-write, key: no-store:write-0123456789, scopes: [chat, 'store:read', stats]}
  - {name: no-stats, key: no-stats-0123456789, scopes: [chat, 'store:read', 'store:write']}
";
const ALL: &str = "sk-all-0123456789";

#[tokio::test]
async fn the_table_has_every_route_of_the_server() {
    let server = Server::start("auth: none\n").await;
    let mut served: Vec<_> = server.routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let mut listed: Vec<_> = ROWS.iter().map(Row::name).collect();
    served.sort();
    listed.sort();
    assert_eq!(served, listed);
    server.stop().await;
}

#[tokio::test]
async fn a_request_without_a_key_is_401_unless_the_route_is_open() {
    let server = Server::start(KEYS).await;
    for row in &ROWS {
        // Repeated failures of one address are delayed.
        server.advance(Duration::from_secs(60));
        let answer = server.ask(&row.request(row.method)).await;
        if row.key == No {
            assert!(passed(&answer), "{} {}", row.name(), answer.status);
        } else {
            row.assert_fails(&answer, 401, None);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{}", row.name());
        }
        if row.method == "GET" {
            // HEAD passes the same layers.
            let mut connection = server.connect().await;
            assert_eq!(connection.ask(&row.request("HEAD")).await.status(), answer.status, "{}", row.name());
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_without_the_scope_is_403_and_one_with_it_passes() {
    let server = Server::start(KEYS).await;
    for row in &ROWS {
        let answer = server.ask(&row.request(row.method).bearer(ALL)).await;
        assert!(passed(&answer), "{} {}", row.name(), answer.status);
        let With(scope) = row.key else { continue };
        let answer = server.ask(&row.request(row.method).bearer(&format!("no-{scope}-0123456789"))).await;
        row.assert_fails(&answer, 403, Some("insufficient_permissions"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_403_without_keys() {
    let server = Server::start("auth: none\n").await;
    for row in &ROWS {
        let from_page =
            |origin| row.request(row.method).header("sec-fetch-site", "cross-site").header("origin", origin);
        let answer = server.ask(&from_page(FOREIGN)).await;
        if row.origin_checked {
            // Failures of this check below /metrics are problems too.
            row.assert_fails(&answer, 403, Some("origin_not_allowed"));
        } else {
            assert!(passed(&answer), "{} {}", row.name(), answer.status);
        }
        assert_eq!(answer.header("access-control-allow-origin"), None, "{}", row.name());
    }
    server.stop().await;
}

#[tokio::test]
async fn preflights_of_allowed_origins_are_answered_without_a_key() {
    let server = Server::start(&format!("{KEYS}cors: {{allow_origins: ['{SHOP}']}}\n")).await;
    for row in &ROWS {
        let preflight = |origin| {
            let request = Request::new("OPTIONS", &row.target()).header("origin", origin);
            request.header("access-control-request-method", row.method)
        };
        let covered = row.path.starts_with("/v1/") || row.path.starts_with("/api/");
        let answer = server.ask(&preflight(SHOP)).await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!((answer.status, allowed), if covered { (204, Some(SHOP)) } else { (405, None) }, "{}", row.name());
        assert_eq!(server.ask(&preflight(FOREIGN)).await.status, 405, "{}", row.name());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_over_the_limit_is_429_unless_the_route_is_not_metered() {
    let limited = "keys: [{name: one, key: sk-one-0123456789, scopes: [chat, 'store:read', 'store:write', stats],\n  \
                   limits: {requests_per_minute: 1}}]\n";
    let server = Server::start(limited).await;
    let key = "sk-one-0123456789";
    let first = server.ask(&Request::new("GET", "/api/inventory").bearer(key)).await;
    assert_eq!((first.status, first.header("x-ratelimit-remaining-requests")), (200, Some("0")));
    for row in &ROWS {
        let answer = server.ask(&row.request(row.method).bearer(key)).await;
        if row.metered {
            row.assert_fails(&answer, 429, Some("rate_limit_exceeded"));
            let limit = if row.surface == Anthropic {
                "anthropic-ratelimit-requests-limit"
            } else {
                "x-ratelimit-limit-requests"
            };
            assert_eq!(answer.header(limit), Some("1"), "{}", row.name());
        } else {
            assert!(passed(&answer), "{} {}", row.name(), answer.status);
            assert_eq!(answer.header("x-ratelimit-limit-requests"), None, "{}", row.name());
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_405_with_or_without_a_key() {
    let server = Server::start(KEYS).await;
    for row in &ROWS {
        let of_path = || ROWS.iter().filter(|other| other.path == row.path);
        for method in METHODS.into_iter().filter(|method| of_path().all(|row| row.method != *method)) {
            for request in [row.request(method), row.request(method).bearer(ALL)] {
                let answer = server.ask(&request).await;
                let surface = match row.path {
                    path if path.starts_with("/api/") => Problem,
                    path if path.starts_with("/v1/messages") => Anthropic,
                    _ => OpenAi,
                };
                Row { surface, ..*row }.assert_fails(&answer, 405, Some("method_not_supported"));
                let allow: Vec<_> = answer.header("allow").expect("Allow").split(',').map(str::trim).collect();
                assert!(of_path().all(|row| allow.contains(&row.method)), "{method} {}: {allow:?}", row.path);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn paths_without_a_route_are_404_with_or_without_a_key() {
    let server = Server::start(KEYS).await;
    for (path, surface) in [
        ("/v1/none", OpenAi),
        ("/v1/messages/none", Anthropic),
        ("/api/none", Problem),
        ("/none", OpenAi),
        ("/apis", OpenAi),
    ] {
        for method in METHODS {
            for request in [Request::new(method, path), Request::new(method, path).bearer(ALL)] {
                Row { surface, ..row("GET", "/none", surface, No, false) }.assert_fails(
                    &server.ask(&request).await,
                    404,
                    None,
                );
            }
        }
    }
    server.stop().await;
}
