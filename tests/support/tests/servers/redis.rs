//! Redis as a child process, and its faults.

use std::time::Duration;

use test_support::servers::redis::{PASSWORD, Redis};
use test_support::soon;
use test_support::tls::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a command on a new connection. None if nothing is answered within a time that is long for loopback,
/// or the connection is reset.
async fn answer(redis: &Redis, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect(redis.address).await.unwrap();
    stream.write_all(command.as_bytes()).await.unwrap();
    let mut buffer = [0; 100];
    let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await.ok()?.ok()?;
    Some(String::from_utf8(buffer[..read].to_vec()).unwrap())
}

#[tokio::test]
async fn a_restart_keeps_data_and_a_kill_loses_it() {
    let mut redis = Redis::start().await;
    let address = redis.address;
    redis.command(&["SET", "key", "value"]).await;
    redis.restart().await;
    assert_eq!(redis.command(&["GET", "key"]).await, "value");
    redis.restart_empty().await;
    assert_eq!(redis.command(&["GET", "key"]).await, "");
    redis.command(&["SET", "key", "value"]).await;
    redis.command(&["FLUSHALL"]).await;
    assert_eq!(redis.command(&["GET", "key"]).await, "");
    redis.kill().await;
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    redis.launch().await;
    assert_eq!((redis.command(&["PING"]).await.as_str(), redis.address), ("PONG", address));
}

#[tokio::test]
async fn a_paused_server_accepts_and_does_not_answer() {
    let redis = Redis::start().await;
    redis.pause();
    assert_eq!(answer(&redis, "PING\r\n").await, None);
    redis.resume();
    soon("an answer", async { while answer(&redis, "PING\r\n").await.as_deref() != Some("+PONG\r\n") {} }).await;
}

#[tokio::test]
async fn writes_are_refused_without_memory_and_on_a_replica() {
    let (primary, replica) = (Redis::start().await, Redis::start().await);
    primary.refuse_writes(true).await;
    assert!(primary.command(&["SET", "key", "1"]).await.starts_with("OOM"));
    primary.refuse_writes(false).await;
    assert_eq!(primary.command(&["SET", "key", "1"]).await, "OK");
    replica.replicate(Some(&primary)).await;
    assert!(replica.command(&["SET", "key", "2"]).await.starts_with("READONLY"));
    assert_eq!(replica.command(&["GET", "key"]).await, "1");
    replica.replicate(None).await;
    assert_eq!(replica.command(&["SET", "key", "2"]).await, "OK");
}

#[tokio::test]
async fn a_password_or_tls_is_demanded() {
    let redis = Redis::start_with_password().await;
    assert_eq!(redis.command(&["PING"]).await, "PONG");
    assert!(answer(&redis, "PING\r\n").await.unwrap().starts_with("-NOAUTH"));
    assert!(answer(&redis, &format!("AUTH {PASSWORD}\r\n")).await.unwrap().starts_with("+OK"));
    let redis = Redis::start_with_tls(&Authority::new()).await;
    assert_eq!(redis.command(&["PING"]).await, "PONG");
    assert_ne!(answer(&redis, "PING\r\n").await.as_deref(), Some("+PONG\r\n"));
    assert!(redis.url().starts_with("rediss://"));
}
