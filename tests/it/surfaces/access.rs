//! Keys, allowed models and limits on every surface.

use serde_json::json;

use super::{Messages, Responses, Surface};
use crate::server::Server;
use test_support::http::Request;

const KEYS: &str = "keys:
  - {name: all, key: sk-all-0123456789}
  - {name: none, key: sk-none-0123456789, scopes: ['store:read']}
  - {name: other, key: sk-other-0123456789, models: [gpt]}
";
const ALL: &str = "sk-all-0123456789";

fn asking(surface: Surface) -> Request {
    surface.request(&json!({"model": "petstore-ai"}))
}

#[tokio::test]
async fn a_key_may_come_in_each_header() {
    let server = Server::start(KEYS).await;
    for surface in Surface::ALL {
        for (name, value) in [("authorization", "Bearer sk-all-0123456789"), ("x-api-key", ALL), ("api-key", ALL)] {
            assert_eq!(server.ask(&asking(surface).header(name, value)).await.status, 200, "{surface:?} {name}");
        }
        let both = asking(surface).bearer(ALL).header("x-api-key", "sk-none-0123456789");
        assert!(surface.error(&server.ask(&both).await, 400)["message"].as_str().unwrap().contains("more than one"));
        let same = asking(surface).bearer(ALL).header("x-api-key", ALL);
        assert_eq!(server.ask(&same).await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn failures_of_access_have_the_format_of_the_surface() {
    let server = Server::start(KEYS).await;
    let kind = |surface: Surface, openai: &'static str, anthropic: &'static str| match surface {
        Responses => openai,
        Messages => anthropic,
    };
    for surface in Surface::ALL {
        let error = surface.error(&server.ask(&asking(surface)).await, 401);
        assert_eq!(error["type"], kind(surface, "invalid_request_error", "authentication_error"));
        let wrong = asking(surface).header("x-api-key", "sk-wrong-0123456789");
        let error = surface.error(&server.ask(&wrong).await, 401);
        assert!(!error["message"].as_str().unwrap().contains("sk-wrong-0123456789"));
        let error = surface.error(&server.ask(&asking(surface).bearer("sk-none-0123456789")).await, 403);
        assert_eq!(error["type"], kind(surface, "invalid_request_error", "permission_error"));
        let error = surface.error(&server.ask(&asking(surface).bearer("sk-other-0123456789")).await, 404);
        assert_eq!(error["type"], kind(surface, "invalid_request_error", "not_found_error"));
    }
    server.stop().await;
}

#[tokio::test]
async fn limits_hold_on_every_surface_and_are_told_in_its_headers() {
    for surface in Surface::ALL {
        let limits = "limits: {per_key: {requests_per_minute: 1, tokens_per_minute: 5000}}\n";
        let server = Server::start(&format!("{KEYS}{limits}")).await;
        let names = match surface {
            Responses => ["x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests"],
            Messages => [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
        };
        let first = server.ask(&asking(surface).bearer(ALL)).await;
        let [limit, remaining, reset] = names.map(|name| first.header(name).unwrap_or_else(|| panic!("no {name}")));
        assert_eq!((first.status, limit), (200, "1"));
        assert!(remaining.parse::<u64>().unwrap() < 5000);
        match surface {
            Responses => assert!(reset.ends_with('s'), "{reset}"),
            Messages => assert!(reset.parse::<jiff::Timestamp>().is_ok(), "{reset}"),
        }
        let second = server.ask(&asking(surface).bearer(ALL)).await;
        let error = surface.error(&second, 429);
        assert_eq!(error["type"], if surface == Messages { "rate_limit_error" } else { "requests" });
        assert_eq!(second.header(names[0]), Some("1"));
        assert!(second.header("retry-after").is_some());
        server.stop().await;
    }
}

#[tokio::test]
async fn paths_and_methods_below_messages_fail_in_its_format() {
    let server = Server::start(KEYS).await;
    let missing = Messages.error(&server.ask(&Request::post("/v1/messages/batches", &json!({}))).await, 404);
    assert_eq!(missing["type"], "not_found_error");
    let method = Messages.error(&server.ask(&Request::new("GET", "/v1/messages")).await, 405);
    assert_eq!(method["type"], "invalid_request_error");
    // Codex tries a WebSocket first, and goes on at once after any plain answer.
    let upgrade = Request::new("GET", "/v1/responses").header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(Responses.error(&server.ask(&upgrade).await, 405)["code"], "method_not_supported");
    server.stop().await;
}
