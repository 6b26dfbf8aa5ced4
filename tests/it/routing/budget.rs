//! Bounds of retries: attempts per request, and a share of the traffic.

use super::{answerer, asked, refuses, stream, targets};
use crate::server::Server;
use test_support::config::model;
use test_support::upstream::{Script, Upstream};

/// `count` targets in an order of preference; the first is never ejected.
async fn preferring(upstreams: &[&Upstream], retries: &str) -> Server {
    let entries: Vec<_> = (0..upstreams.len()).map(|place| format!("priority: {place}")).collect();
    let upstreams: Vec<_> = upstreams.iter().copied().zip(entries.iter().map(String::as_str)).collect();
    let retries = format!("retries: {{same_target: 0, {retries}}}");
    Server::start(&model(&upstreams, &[&retries, "ejection: {failures: 0}"])).await
}

#[tokio::test]
async fn a_budget_of_nothing_forbids_retries() {
    let [a, b] = targets().await;
    let server = preferring(&[&a, &b], "budget: 0%, reserve: 0").await;
    for _ in 0..5 {
        a.answer(refuses(500));
        assert_eq!(server.ask(&stream()).await.error(502)["code"], "upstream_error");
    }
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(asked(&[&a, &b]), [6, 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_share_of_the_requests_is_retried() {
    let [a, b] = targets().await;
    let server = preferring(&[&a, &b], "budget: 50%, reserve: 0").await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        a.answer(refuses(500));
        statuses.push(server.ask(&stream()).await.status);
    }
    // Each retry is paid for by two requests.
    assert_eq!(statuses, [502, 200, 502, 200, 502, 200, 502, 200]);
    assert_eq!(asked(&[&a, &b]), [8, 4]);
    server.stop().await;
}

#[tokio::test]
async fn successes_pay_for_later_retries() {
    let [a, b] = targets().await;
    let server = preferring(&[&a, &b], "budget: 20%, reserve: 0").await;
    for _ in 0..9 {
        assert_eq!(answerer(&server).await, "a");
    }
    let mut statuses = Vec::new();
    for _ in 0..4 {
        a.answer(refuses(500));
        statuses.push(server.ask(&stream()).await.status);
    }
    assert_eq!(statuses, [200, 200, 502, 502]);
    server.stop().await;
}

#[tokio::test]
async fn a_rate_limited_primary_is_covered_by_the_fallback() {
    let [a, b] = targets().await;
    let server = preferring(&[&a, &b], "budget: 0%, reserve: 0").await;
    a.answer_otherwise(refuses(429));
    // All at once: most begin before the first refusal arrives.
    let all = futures_util::future::join_all((0..60).map(|_| answerer(&server))).await;
    assert_eq!(all.concat(), "b".repeat(60));
    assert!((1..=60).contains(&a.requests().len()) && b.requests().len() == 60);
    server.stop().await;
}

#[tokio::test]
async fn retries_after_refusals_do_not_use_the_retry_budget() {
    for status in [302, 401, 402, 403, 404, 405, 407, 410, 421, 425, 429, 451] {
        let [a, b] = targets().await;
        let server = preferring(&[&a, &b], "budget: 0%, reserve: 0").await;
        a.answer(refuses(status));
        assert_eq!(answerer(&server).await, "b", "{status}");
        server.stop().await;
    }
    let ([mut a, b], [c, d]) = (targets().await, targets().await);
    a.unlisten().await;
    let server = preferring(&[&a, &b], "budget: 0%, reserve: 0").await;
    assert_eq!(answerer(&server).await, "b");
    server.stop().await;
    // A 503 counts as such only with `retry-after`: the target is skipped until then.
    let server = preferring(&[&c, &d], "budget: 0%, reserve: 0").await;
    c.answer(refuses(503));
    assert_eq!(server.ask(&stream()).await.status, 503);
    c.answer(Script::whole(503, "retry-after: 60\r\n", ""));
    assert_eq!(answerer(&server).await, "b");
    server.stop().await;
}

#[tokio::test]
async fn attempts_bound_one_request() {
    for (attempts, expected) in [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1])] {
        let [a, b, c] = targets().await;
        let server = preferring(&[&a, &b, &c], &format!("attempts: {attempts}, budget: 100%")).await;
        [&a, &b, &c].into_iter().take(attempts).for_each(|target| target.answer(refuses(500)));
        assert_eq!(server.ask(&stream()).await.status, 502);
        assert_eq!(asked(&[&a, &b, &c]), expected);
        server.stop().await;
    }
}

#[tokio::test]
async fn no_target_gets_a_request_twice_where_that_is_switched_off() {
    let [a, b] = targets().await;
    let server = preferring(&[&a, &b], "attempts: 10, budget: 100%, reserve: 1000").await;
    a.answer(refuses(500));
    b.answer(refuses(500));
    assert_eq!(server.ask(&stream()).await.status, 502);
    assert_eq!(asked(&[&a, &b]), [1, 1]);
    server.stop().await;
}
