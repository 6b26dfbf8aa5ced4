//! The page: its files, caching and security headers.

use crate::server::Server;
use test_support::http::{Request, Whole};

/// A server that requires keys: the page does not need one.
const KEYS: &str = "keys: [{name: alice, key: sk-alice-0123456789}]\n";

/// The content security policy of the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

/// The assets that the page references, by relative paths: the page may be served under any path.
fn assets(page: &Whole) -> Vec<String> {
    let quoted = page.text().split('"').skip(1).step_by(2);
    quoted
        .map(|path| path.trim_start_matches("./"))
        .filter(|path| path.starts_with("assets/"))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn is_guarded(answer: &Whole) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("vary", "accept-encoding"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn the_page_and_its_assets_need_no_key_and_have_cache_headers() {
    let server = Server::start(KEYS).await;
    let page = server.ask(&get("/")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    is_guarded(&page);
    let assets = assets(&page);
    assert!(!assets.is_empty(), "{}", page.text());
    let mut pages: Vec<(String, Whole)> = vec![("/".to_owned(), page)];
    for asset in assets {
        let target = format!("/{asset}");
        let answer = server.ask(&get(&target)).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        is_guarded(&answer);
        pages.push((target, answer));
    }
    for (target, plain) in pages {
        let tag = plain.header("etag").unwrap();
        let known = server.ask(&get(&target).header("if-none-match", tag)).await;
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag)), "{target}");
        is_guarded(&known);
        assert_eq!(server.ask(&get(&target).header("if-none-match", "\"other\"")).await.status, 200);
        let packed = server.ask(&get(&target).header("accept-encoding", "gzip, br")).await;
        if packed.header("content-encoding").is_some() {
            assert_eq!(packed.header("content-encoding"), Some("gzip"));
            assert!(packed.body.starts_with(b"\x1f\x8b") && packed.body.len() < plain.body.len(), "{target}");
        } else {
            assert_eq!(packed.body, plain.body, "{target}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_page_answers_head_requests_and_refuses_other_methods() {
    let server = Server::start(KEYS).await;
    let length = server.ask(&get("/")).await.body.len().to_string();
    let mut connection = server.connect().await;
    let head = connection.ask(&Request::new("HEAD", "/")).await;
    assert_eq!((head.status(), head.header("content-length")), (200, Some(length.as_str())));
    assert_eq!(head.header("content-type"), Some("text/html; charset=utf-8"));
    server.ask(&Request::new("POST", "/")).await.error(405);
    for nowhere in
        ["/assets/nothing.js", "/assets/", "/assets/index.html", "/assets/../Cargo.toml", "/assets/%00", "/index"]
    {
        server.ask(&get(nowhere)).await.error(404);
    }
    server.stop().await;
}

#[tokio::test]
async fn without_the_page_its_paths_do_not_exist() {
    let server = Server::start("page: false\n").await;
    let page = Server::start("").await;
    let asset = format!("/{}", assets(&page.ask(&get("/")).await)[0]);
    for nowhere in ["/", &asset] {
        let error = server.ask(&get(nowhere)).await.error(404);
        assert_eq!(error["message"], format!("Invalid URL (GET {nowhere})"));
    }
    page.stop().await;
    server.stop().await;
}
