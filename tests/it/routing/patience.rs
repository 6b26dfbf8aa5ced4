//! What an upstream's `retry-after` leads to.

use std::time::{Duration, Instant};

use super::{answerer, answerers, asked, stream, targets, until_asked};
use crate::support::server::{Server, model};
use crate::support::upstream::{Script, Upstream};

fn wait(status: u16, seconds: u32) -> Script {
    Script::whole(status, &format!("content-type: application/json\r\nretry-after: {seconds}\r\n"), "{}")
}

async fn preferring(a: &Upstream, b: &Upstream) -> Server {
    Server::start(&model(&[(a, "priority: 0"), (b, "priority: 1")], &[])).await
}

#[tokio::test]
async fn it_is_kept_while_another_can_serve() {
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
async fn a_429_without_one_is_forgotten_at_once() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b).await;
    a.answer(Script::json(429, "{}"));
    assert_eq!(answerers(&server, 2).await, "ba");
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
async fn with_all_waiting_the_one_due_first_is_asked() {
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
async fn with_all_waiting_and_the_first_one_failing_it_is_a_503_that_says_when() {
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
