//! CORS preflights for the requests of real clients, and the headers that pages may read.

use crate::server::Server;
use test_support::http::{Request, Whole};

const SHOP: &str = "https://shop.example";

/// The headers that openai-node 6 adds to each request, in the order in which browsers sort them.
const STAINLESS: &str = "x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,\
                         x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout";

async fn preflight(server: &Server, path: &str, asked: &str, more: &[(&str, &str)]) -> Whole {
    let mut request = Request::new("OPTIONS", path)
        .header("accept", "*/*")
        .header("origin", SHOP)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", asked)
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-site", "cross-site");
    for (name, value) in more {
        request = request.header(name, value);
    }
    server.ask(&request).await
}

#[tokio::test]
async fn all_requested_headers_are_allowed_for_allowed_origins() {
    let yaml = "keys: [{name: page, key: page-0123456789}]\ncors: {allow_origins: ['https://shop.example']}\n";
    let server = Server::start(yaml).await;
    let chromium = format!("authorization,content-type,{STAINLESS}");
    // Firefox allows pages to set this header, and requests it in a preflight.
    let firefox = format!("authorization,content-type,user-agent,{STAINLESS}");
    let traced =
        "authorization,baggage,content-type,openai-organization,openai-project,sentry-trace,traceparent,tracestate";
    let private = [("access-control-request-private-network", "true")];
    for (asked, more) in
        [(chromium.as_str(), &private[..]), (firefox.as_str(), &[]), (traced, &[]), ("user-agent", &[])]
    {
        for path in ["/v1/chat/completions", "/api/pets"] {
            let answer = preflight(&server, path, asked, more).await;
            assert_eq!(answer.status, 204, "{path} {asked}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP));
            let allowed = answer.header("access-control-allow-headers").unwrap();
            assert_eq!(allowed.split(", ").collect::<Vec<_>>(), asked.split(',').collect::<Vec<_>>());
            assert!(answer.header("access-control-allow-methods").unwrap().split(", ").any(|method| method == "POST"));
            let private = answer.header("access-control-allow-private-network");
            assert_eq!(private, (!more.is_empty()).then_some("true"));
        }
    }
    // The headers that SDKs read to schedule a retry.
    let refused = server.ask(&Request::new("GET", "/v1/models").header("origin", SHOP)).await;
    assert_eq!(refused.status, 401);
    let exposed = refused.header("access-control-expose-headers").unwrap();
    for name in [
        "x-should-retry",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "openai-processing-ms",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ] {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}");
    }
    server.stop().await;
}
