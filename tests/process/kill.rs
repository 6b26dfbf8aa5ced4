//! SIGKILL under load: at most the documented usage records are lost, and the database opens again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use test_support::config::one_model;
use test_support::frames::{first, last, request, usage};
use test_support::http::{Connection, Request};
use test_support::program::Folder;
use test_support::upstream::{Script, Upstream};
use test_support::usage_records;

/// Records of this time before the kill may be lost: half a second by documentation, doubled as an allowance for a
/// busy machine.
const WINDOW: Duration = Duration::from_millis(2 * 500);
const CLIENTS: usize = 4;

/// Sends requests in sequence until the server is gone. Returns the time of each answer, by request id.
async fn insist(mut connection: Connection, request: Request) -> Vec<(String, Instant)> {
    let mut answered = Vec::new();
    while let Some(whole) = connection.ask_unless_gone(&request).await {
        assert_eq!(whole.status, 200);
        answered.push((whole.header("x-request-id").unwrap().to_owned(), Instant::now()));
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_only_the_last_usage_records_and_the_database_opens_again() {
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::sse([first(), last("stop"), usage(3, 2), "[DONE]".to_owned()]));
    let folder = Folder::with(&one_model(&upstream, ""));
    let program = folder.start().await;
    let stream = Request::chat(&request(&json!({"stream": true})));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(insist(Connection::open(program.address).await, stream.clone()));
    }
    // Long enough that most records are older than the window.
    while began.elapsed() < 3 * WINDOW {
        upstream.request(upstream.requests().len() + 100).await;
    }
    let killed = Instant::now();
    program.kill().await;
    let answered = clients.join_all().await.concat();

    let recorded: Vec<_> = usage_records::read(&folder.database()).await;
    let ids: BTreeSet<_> = recorded.iter().filter_map(|record| record.request_id.clone()).collect();
    assert_eq!(ids.len(), recorded.len(), "each request is recorded once");
    let old = answered.iter().filter(|(_, at)| *at + WINDOW < killed);
    let lost: Vec<_> = old.clone().filter(|(id, _)| !ids.contains(id)).map(|(_, at)| killed - *at).collect();
    assert!(old.count() > 100, "there was load: {}", answered.len());
    assert!(lost.is_empty(), "lost although so old: {lost:?}");
    assert!(recorded.iter().all(|record| record.counts() == (3, 2, Some("exact"))));

    let sums = folder.run(&["usage", "--json"]).await;
    assert_eq!(sums.code, 0, "{}", sums.err);
    let sums: serde_json::Value = serde_json::from_str(&sums.out).unwrap();
    assert_eq!(sums["total"]["requests"], recorded.len());
    let program = folder.start().await;
    assert_eq!(program.ask(&Request::new("GET", "/readyz")).await.status, 200);
    assert_eq!(program.ask(&stream).await.transcript().finish_reason(0), Some("stop"));
    program.stop().await;
    assert_eq!(usage_records::read(&folder.database()).await.len(), recorded.len() + 1);
}
