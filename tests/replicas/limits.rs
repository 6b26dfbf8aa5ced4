//! Limits of three servers that share a Redis.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use test_support::becomes;
use test_support::http::{Request, Whole};
use test_support::program::{Folder, Program};
use test_support::servers::redis::Redis;

async fn servers(redis: &Redis, limits: &str, on_failure: &str) -> (Folder, Vec<Program>) {
    let yaml = format!("auth: none\npage: false\nredis: {{on_failure: {on_failure}}}\nlimits: {limits}\n");
    let folder = Folder::with(&yaml);
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(folder.start_with(&["--redis", &redis.url()]).await);
    }
    for server in &servers {
        becomes(&true, async || has_metric(server, "petstream_replicas 3").await).await;
        becomes(&true, async || has_metric(server, r#"petstream_limits_mode{mode="shared"} 1"#).await).await;
    }
    (folder, servers)
}

async fn has_metric(server: &Program, line: &str) -> bool {
    server.ask(&Request::new("GET", "/metrics")).await.text().lines().any(|found| found == line)
}

async fn list(server: &Program) -> Whole {
    server.ask(&Request::new("GET", "/api/pets")).await
}

#[tokio::test]
async fn a_limit_holds_for_three_servers_together() {
    let redis = Redis::start().await;
    let (_folder, servers) = servers(&redis, "{per_key: {requests_per_minute: 30}}", "share").await;
    let began = Instant::now();
    let answers = join_all((0..90).map(|index| list(&servers[index % 3]))).await;
    let regained = began.elapsed().as_millis() as usize / 2_000 + 1;
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((27..=30 + regained).contains(&admitted), "{admitted} of 30, {regained} came back");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("30"));
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn without_redis_requests_under_a_limit_are_refused_if_that_is_configured() {
    let mut redis = Redis::start().await;
    let (_folder, servers) = servers(&redis, "{per_key: {requests_per_minute: 30}}", "refuse").await;
    redis.kill().await;
    becomes(&503, async || list(&servers[0]).await.status).await;
    let began = Instant::now();
    let refused = list(&servers[1]).await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(refused.status == 503 && refused.header("retry-after") == Some("1"), "{}", refused.text());
    redis.launch().await;
    becomes(&200, async || list(&servers[0]).await.status).await;
}
