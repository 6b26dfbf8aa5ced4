//! The effects of an upstream's `retry-after`.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{answerer, answerers, asked, stream, targets, until_asked};
use crate::server::Server;
use test_support::config::model;
use test_support::frames::{first, last, request};
use test_support::http::{Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

fn wait(status: u16, seconds: u32) -> Script {
    Script::whole(status, &format!("content-type: application/json\r\nretry-after: {seconds}\r\n"), "{}")
}

async fn preferring(a: &Upstream, b: &Upstream) -> Server {
    Server::start(&model(&[(a, "priority: 0"), (b, "priority: 1")], &[])).await
}

#[tokio::test]
async fn retry_after_is_kept_while_another_target_can_serve() {
    for status in [429, 503] {
        let [a, b] = targets().await;
        let server = preferring(&a, &b).await;
        a.answer(wait(status, 1));
        let since = Instant::now();
        assert_eq!(answerers(&server, 3).await, "bbb");
        assert_eq!(asked(&[&a, &b]), [1, 3]);
        assert_eq!(until_asked(&server, &a, 2).await, "a");
        assert!(since.elapsed() >= Duration::from_secs(1));
        assert_eq!(answerers(&server, 2).await, "aa");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_rate_limited_target_without_retry_after_is_skipped_for_a_second() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b).await;
    a.answer(Script::json(429, "{}"));
    let since = Instant::now();
    assert_eq!(answerers(&server, 3).await, "bbb");
    assert_eq!(asked(&[&a, &b]), [1, 3]);
    assert_eq!(until_asked(&server, &a, 2).await, "a");
    assert!(since.elapsed() >= Duration::from_secs(1));
    server.stop().await;
}

#[tokio::test]
async fn every_form_of_retry_after_is_passed_on_and_used_for_routing() {
    // Values, and the least and most seconds that the client must get.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3_000);
    // The form of HTTP, whose days have two digits.
    let date = format!("retry-after: {}", soon.strftime("%a, %d %b %Y %H:%M:%S GMT"));
    let unix = format!("x-ratelimit-reset: {}", soon.as_millisecond());
    let cases = [
        ("retry-after: 40", 40, 40),
        ("retry-after: 1.25", 2, 2),
        ("retry-after: Mon, 30 Nov 2099 00:00:00 GMT", 86_400, 86_400),
        (&date, 2_900, 3_000),
        ("retry-after-ms: 90500", 91, 91),
        ("x-ratelimit-reset-requests: 6m0s", 360, 360),
        ("x-ratelimit-reset-tokens: 33.023s", 34, 34),
        (&unix, 2_900, 3_000),
    ];
    for (field, least, most) in cases {
        let script = Script::whole(429, &format!("content-type: application/json\r\n{field}\r\n"), "{}");
        for streamed in [true, false] {
            let only = Upstream::start([script.clone()]).await;
            let server = Server::start(&model(&[(&only, "")], &[])).await;
            let ask = Request::chat(&request(&json!({ "stream": streamed })));
            let whole = server.ask(&ask).await;
            let number = |name: &str| whole.header(name).unwrap().parse::<u64>().unwrap();
            assert_eq!(whole.status, 429);
            assert!((least..=most).contains(&number("retry-after")), "{field}: {}", number("retry-after"));
            assert_eq!(number("retry-after-ms").div_ceil(1_000), number("retry-after"), "{field}");
            server.stop().await;
        }
        let [a, b] = targets().await;
        let server = preferring(&a, &b).await;
        a.answer(script);
        assert_eq!(answerers(&server, 3).await, "bbb");
        assert_eq!(asked(&[&a, &b]), [1, 3], "{field}");
        server.stop().await;
    }
}

#[tokio::test]
async fn with_all_targets_ejected_retry_after_is_that_of_the_first_to_return() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b).await;
    a.answer(wait(429, 200));
    b.answer(wait(429, 300));
    let whole = server.ask(&stream()).await;
    assert_eq!((whole.status, whole.header("retry-after")), (429, Some("200")));
    server.stop().await;
}

#[tokio::test]
async fn an_older_answer_does_not_end_the_wait_of_a_rate_limit() {
    let gate = Gate::new();
    let [a, b] = targets().await;
    a.answer(Script::stream().frame(&first()).wait(&gate).frame(&last("stop")).frame("[DONE]").end());
    a.answer(wait(429, 300));
    let server = preferring(&a, &b).await;
    let mut connection = server.connect().await;
    let mut running = connection.ask(&stream()).await;
    assert!(matches!(running.piece().await, Piece::Data(_)));
    assert_eq!(answerer(&server).await, "b");
    gate.open();
    running.body().await;
    assert_eq!(answerers(&server, 3).await, "bbb");
    assert_eq!(asked(&[&a, &b]), [2, 4]);
    server.stop().await;
}

#[tokio::test]
async fn an_only_targets_429_is_passed_on_and_the_next_request_is_tried() {
    let [a] = targets().await;
    let error = r#"{"error":{"message":"Slow down.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    a.answer(Script::whole(429, "content-type: application/json\r\nretry-after: 30\r\n", error));
    let server = Server::start(&model(&[(&a, "")], &[])).await;
    let whole = server.ask(&stream()).await;
    assert_eq!(whole.error(429)["message"], "Slow down.");
    assert_eq!((whole.header("retry-after"), whole.header("retry-after-ms")), (Some("30"), Some("30000")));
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(a.requests().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn with_all_targets_rate_limited_the_first_available_is_tried() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b).await;
    a.answer(wait(429, 300));
    b.answer(wait(429, 200));
    let whole = server.ask(&stream()).await;
    assert_eq!((whole.status, whole.header("retry-after")), (429, Some("200")), "the last answer is passed on");
    assert_eq!(asked(&[&a, &b]), [1, 1]);
    assert_eq!(answerers(&server, 2).await, "bb", "well again, and preferred to one that asked to be left alone");
    assert_eq!(asked(&[&a, &b]), [1, 3]);
    server.stop().await;
}

#[tokio::test]
async fn with_all_targets_rate_limited_a_failure_is_a_503_with_retry_after() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b).await;
    a.answer(wait(429, 300));
    b.answer(wait(429, 200));
    assert_eq!(server.ask(&stream()).await.status, 429);
    b.answer(wait(429, 400));
    let whole = server.ask(&stream()).await;
    assert_eq!(whole.error(503)["code"], "server_is_overloaded");
    let seconds: u64 = whole.header("retry-after").unwrap().parse().unwrap();
    assert!((200..=300).contains(&seconds), "{seconds}: the first one is due before the second now");
    assert_eq!(asked(&[&a, &b]), [1, 2]);
    server.stop().await;
}
