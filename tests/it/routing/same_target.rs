//! Retries on the same target, after a wait, where no other target is available.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{answerer, asked, refuses, says, stream, targets};
use crate::server::Server;
use test_support::config::model;
use test_support::frames::{answer, first, request, text};
use test_support::http::Request;
use test_support::upstream::{Gate, Script, Upstream};

/// The shortest waits.
const FAST: &str = "retries: {backoff: 1ms..1ms}";

/// A refusal with these header lines.
fn with(status: u16, headers: &str) -> Script {
    Script::whole(status, &format!("content-type: application/json\r\n{headers}\r\n"), "{}")
}

#[tokio::test]
async fn an_only_target_is_asked_again_after_5xx_and_connections_that_gave_no_answer() {
    for streamed in [true, false] {
        let scripts = [
            refuses(500),
            refuses(502),
            refuses(503),
            refuses(529),
            with(503, "retry-after-ms: 5"),
            Script::json(200, r#"{"error":{"message":"Busy.","code":503}}"#),
            Script::new().close(),
            Script::new().reset(),
            Script::new().write("HTTP/1.1 200 OK\r\nconte").close(),
        ];
        for script in scripts {
            let good = if streamed { says("a") } else { Script::json(200, &answer("a")) };
            let a = Upstream::start([script, good]).await;
            let server = Server::start_on_disk(&model(&[(&a, "")], &[FAST])).await;
            let ask = Request::chat(&request(&json!({ "stream": streamed })));
            assert_eq!(server.ask(&ask).await.status, 200);
            assert_eq!(a.requests().len(), 2);
            let records = server.records().await;
            assert_eq!((records[0].attempts, records[0].ending()), (2, ("completed", None, 200)));
        }
    }
}

#[tokio::test]
async fn connecting_to_an_unreachable_target_is_retried() {
    let mut a = Upstream::start([]).await;
    a.unlisten().await;
    let server = Server::start_on_disk(&model(&[(&a, "")], &[FAST])).await;
    assert_eq!(server.ask(&stream()).await.error(502)["code"], "upstream_unreachable");
    assert_eq!(server.records().await[0].attempts, 3);
}

#[tokio::test]
async fn by_default_a_request_is_retried_twice_with_a_doubling_wait() {
    let a = Upstream::start([refuses(500), refuses(500), says("a")]).await;
    let server = Server::start(&model(&[(&a, "")], &["retries: {}"])).await;
    assert_eq!(answerer(&server).await, "a");
    let asked = a.requests();
    let waits: Vec<_> = asked.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    assert!(waits[0] >= 249 && waits[1] >= 499, "{waits:?}");
    server.stop().await;
}

#[tokio::test]
async fn retries_are_bounded_by_both_settings_and_the_last_failure_is_reported() {
    for (retries, expected) in [
        ("same_target: 0", 1),
        ("same_target: 1", 2),
        ("same_target: 10", 3),
        ("attempts: 1", 1),
        ("attempts: 5, same_target: 10", 5),
    ] {
        let a = Upstream::start([]).await;
        a.answer_otherwise(refuses(500));
        let retries = format!("retries: {{backoff: 1ms..1ms, {retries}}}");
        let server = Server::start(&model(&[(&a, "")], &[&retries])).await;
        assert_eq!(server.ask(&stream()).await.error(502)["code"], "upstream_error");
        assert_eq!(a.requests().len(), expected, "{retries}");
        server.stop().await;
    }
}

#[tokio::test]
async fn client_errors_are_not_retried() {
    let never = Gate::new();
    let scripts = [
        refuses(400),
        refuses(401),
        refuses(402),
        refuses(404),
        refuses(408),
        refuses(429),
        refuses(504),
        refuses(524),
        with(429, "retry-after: 2"),
        with(503, "retry-after: 2"),
        Script::whole(
            429,
            "retry-after-ms: 5\r\n",
            r#"{"error":{"message":"Pay.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        ),
        Script::new().wait(&never),
        Script::new().write("this is no HTTP\r\n\r\n").close(),
        // Work was begun, to an unknown extent.
        Script::stream().close(),
        Script::sse([r#"{"error":{"message":"No.","code":"content_filter"}}"#]),
    ];
    for script in scripts {
        let a = Upstream::start([script]).await;
        let server = Server::start(&model(&[(&a, "timeouts: {first_token: 100ms}")], &[FAST])).await;
        assert!(server.ask(&stream()).await.status >= 400);
        assert_eq!(a.requests().len(), 1);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_short_retry_after_of_a_rate_limit_is_waited_for() {
    let a = Upstream::start([with(429, "retry-after-ms: 300"), says("a")]).await;
    let server = Server::start(&model(&[(&a, "")], &[FAST])).await;
    assert_eq!(answerer(&server).await, "a");
    let asked = a.requests();
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(299));
    server.stop().await;
    for (max, expected) in [("0s", 1), ("200ms", 1), ("400ms", 2)] {
        let a = Upstream::start([with(429, "retry-after-ms: 300")]).await;
        a.answer_otherwise(refuses(400));
        let retries = format!("retries: {{backoff: 1ms..1ms, max_retry_after: {max}}}");
        let server = Server::start(&model(&[(&a, "")], &[&retries])).await;
        server.ask(&stream()).await;
        assert_eq!(a.requests().len(), expected, "{max}");
        server.stop().await;
    }
}

#[tokio::test]
async fn never_while_another_target_is_free() {
    let [a, b] = targets().await;
    // A wait would take a minute.
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &["retries: {backoff: 1m..1m}"]);
    let server = Server::start(&yaml).await;
    a.answer(refuses(500));
    assert_eq!(answerer(&server).await, "b");
    assert_eq!(asked(&[&a, &b]), [1, 1]);
    server.stop().await;
}

#[tokio::test]
async fn with_all_targets_tried_the_first_retryable_one_is_retried() {
    let [a, b] = targets().await;
    let server = Server::start(&model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[FAST])).await;
    a.answer(refuses(500));
    b.answer(refuses(500));
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(asked(&[&a, &b]), [2, 1]);
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_recovers_during_the_wait_is_used_instead() {
    let [a, b] = targets().await;
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &["retries: {backoff: 2s..2s}"]);
    let server = Server::start(&yaml).await;
    a.answer(with(429, "retry-after-ms: 1500"));
    assert_eq!(answerer(&server).await, "b");
    b.answer(refuses(500));
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(asked(&[&a, &b]), [2, 2]);
    server.stop().await;
}

#[tokio::test]
async fn an_ejected_target_is_not_retried() {
    let [a, b] = targets().await;
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[FAST, "ejection: {failures: 1}"]);
    let server = Server::start(&yaml).await;
    a.answer(refuses(500));
    b.answer(refuses(500));
    assert_eq!(server.ask(&stream()).await.status, 502);
    assert_eq!(asked(&[&a, &b]), [1, 1]);
    server.stop().await;
}

#[tokio::test]
async fn retries_on_the_same_target_use_the_retry_budget() {
    let a = Upstream::start([]).await;
    a.answer_otherwise(refuses(500));
    let retries = "retries: {backoff: 1ms..1ms, budget: 50%, reserve: 0}";
    let server = Server::start(&model(&[(&a, "")], &[retries])).await;
    for _ in 0..8 {
        assert_eq!(server.ask(&stream()).await.status, 502);
    }
    assert_eq!(a.requests().len(), 12);
    server.stop().await;
}

#[tokio::test]
async fn no_wait_goes_beyond_the_requests_total() {
    let a = Upstream::start([refuses(500)]).await;
    let yaml = model(&[(&a, "timeouts: {total: 30s}")], &["retries: {backoff: 1m..1m}"]);
    let server = Server::start(&yaml).await;
    let began = Instant::now();
    assert_eq!(server.ask(&stream()).await.status, 502, "what is known is told at once");
    assert!(began.elapsed() < Duration::from_secs(20));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_during_the_wait_ends_it() {
    for streamed in [true, false] {
        let a = Upstream::start([refuses(500)]).await;
        let server = Server::start_on_disk(&model(&[(&a, "")], &["retries: {backoff: 1m..1m}"])).await;
        let mut connection = server.connect().await;
        connection.send(&Request::chat(&request(&json!({ "stream": streamed })))).await;
        a.request(1).await;
        a.await_idle(1).await;
        connection.reset();
        // If the request went on waiting, stopping would take half a minute.
        let began = Instant::now();
        let records = server.records().await;
        assert!(began.elapsed() < Duration::from_secs(15));
        assert_eq!((records[0].ending(), records[0].attempts), (("client_gone", None, 499), 1));
    }
}

#[tokio::test]
async fn never_after_a_byte_went_out() {
    let a = Upstream::start([Script::stream().frame(&first()).frame(&text("half")).close()]).await;
    let server = Server::start(&model(&[(&a, "")], &[FAST])).await;
    assert_eq!(server.ask(&stream()).await.status, 200);
    assert_eq!(a.requests().len(), 1);
    server.stop().await;
}
