//! The client of Redis: bounds on calls, failures, and what follows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use petstream::config::RedisConfig;
use petstream::shared::redis::{CALL_TIMEOUT, CallResult, ConnectionTask, Observer, RedisError, Unobserved};
use redis::{Script, cmd, pipe};
use test_support::servers::redis::{PASSWORD, Redis as Server};
use test_support::tls::Authority;
use tokio::net::TcpListener;

use crate::client::{Client, open, open_observed};

/// What a call takes beside its timeout on a busy machine, far below a second timeout.
const SLACK: Duration = Duration::from_millis(45);

/// Counts calls by result, and reconnects.
#[derive(Default)]
struct Counts {
    calls: [AtomicU32; 5],
    unsent: AtomicU32,
    reconnects: AtomicU32,
}

impl Observer for Counts {
    fn called(&self, result: CallResult, time: Option<Duration>) {
        self.calls[result as usize].fetch_add(1, Ordering::Relaxed);
        self.unsent.fetch_add(time.is_none().into(), Ordering::Relaxed);
    }

    fn reached(&self, _: bool) {}

    fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn commands_pipelines_and_scripts_are_answered_under_the_prefix() {
    let server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    assert_eq!(client.increment("n").await, Ok(1));
    let key = client.redis.key("n");
    assert_eq!(key, "petstream:n");
    let both: (u64, u64) = client.redis.call_all(pipe().incr(&key, 1).incr(&key, 5)).await.unwrap();
    assert_eq!(both, (2, 7));
    assert_eq!(server.command(&["GET", "petstream:n"]).await, "7");
    let error = client.redis.call::<u64>(cmd("LPUSH").arg(&key).arg(1)).await.unwrap_err();
    assert!(matches!(&error, RedisError::Answered(text) if text.contains("WRONGTYPE")), "{error:?}");
    assert!(client.redis.is_up());
}

#[tokio::test]
async fn a_script_survives_the_loss_of_all_scripts_and_a_restart() {
    let mut server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let mut call = script.key(client.redis.key("s"));
    let call = call.arg(3);
    assert_eq!(client.redis.run_script(call).await, Ok(3));
    server.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(client.redis.run_script(call).await, Ok(6));
    server.kill().await;
    client.is(false).await;
    server.launch().await;
    client.is(true).await;
    assert_eq!(client.redis.run_script(call).await, Ok(3), "the restarted server has no data");
}

#[tokio::test]
async fn while_redis_is_stalled_calls_fail_in_time_and_then_at_once() {
    let server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    assert_eq!(client.increment("n").await, Ok(1));
    server.pause();
    let mut outcomes = Vec::new();
    while client.redis.is_up() {
        let began = Instant::now();
        outcomes.push(client.increment("n").await.unwrap_err());
        assert!(began.elapsed() < CALL_TIMEOUT + SLACK, "{:?}", began.elapsed());
    }
    assert_eq!(outcomes, [RedisError::TimedOut, RedisError::TimedOut, RedisError::TimedOut]);
    // The probes of the task wait for the stalled server meanwhile.
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(client.increment("n").await, Err(RedisError::Down));
    }
    assert!(began.elapsed() < CALL_TIMEOUT, "{:?} for 1,000 calls", began.elapsed());
    client.is(false).await;
    server.resume();
    client.is(true).await;
    // The three that had no answer in time may have been executed.
    assert!(matches!(client.increment("n").await, Ok(2..=5)));
}

#[tokio::test]
async fn many_calls_at_once_do_not_wait_longer_for_a_stalled_redis_and_are_bounded() {
    let server = Server::start().await;
    let counts = Arc::new(Counts::default());
    let client = open_observed(&server.url(), Arc::<Counts>::clone(&counts)).await.unwrap();
    let sums = join_all((0..500).map(|_| client.increment("n"))).await;
    assert!(sums.iter().all(Result::is_ok));
    server.pause();
    let began = Instant::now();
    let outcomes = join_all((0..1_200).map(|_| client.increment("n"))).await;
    assert!(began.elapsed() < 2 * CALL_TIMEOUT + SLACK, "{:?}", began.elapsed());
    let count = |error: &RedisError| outcomes.iter().filter(|outcome| outcome.as_ref() == Err(error)).count();
    assert_eq!(count(&RedisError::Busy), 1_200 - 1_024);
    assert_eq!(count(&RedisError::TimedOut) + count(&RedisError::Down), 1_024);
    server.resume();
    client.is(true).await;
    let by = |result: CallResult| counts.calls[result as usize].load(Ordering::Relaxed);
    assert_eq!((by(CallResult::Ok), by(CallResult::Busy)), (500, 1_200 - 1_024));
    assert_eq!(by(CallResult::TimedOut) + by(CallResult::Down), 1_024);
    assert!(counts.unsent.load(Ordering::Relaxed) >= by(CallResult::Busy));
    assert_eq!(counts.reconnects.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_killed_redis_makes_calls_fail_at_once_until_it_is_back() {
    let mut server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    assert_eq!(client.increment("n").await, Ok(1));
    server.kill().await;
    client.is(false).await;
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(client.increment("n").await, Err(RedisError::Down));
    }
    assert!(began.elapsed() < CALL_TIMEOUT, "{:?}", began.elapsed());
    server.launch().await;
    client.is(true).await;
    assert_eq!(client.increment("n").await, Ok(1));
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_leaves_the_answers_of_others_alone() {
    let server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    let echo = async |text: String| client.redis.call::<String>(cmd("ECHO").arg(text)).await;
    for round in 0..200 {
        // Polled once: sent to the connection's task, and not answered.
        let dropped = Box::pin(echo(format!("dropped {round}")));
        assert!(futures_util::poll!(dropped).is_pending());
        let kept = format!("kept {round}");
        assert_eq!(echo(kept.clone()).await, Ok(kept));
    }
}

#[tokio::test]
async fn a_read_only_redis_is_left_and_tried_again_until_it_can_be_written() {
    let server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    assert_eq!(client.increment("n").await, Ok(1));
    // A replica of a primary that is not there.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = client.increment("n").await.unwrap_err();
    assert!(matches!(&error, RedisError::Answered(text) if text.contains("read only")), "{error:?}");
    client.is(false).await;
    assert_eq!(client.increment("n").await, Err(RedisError::Down));
    server.command(&["REPLICAOF", "NO", "ONE"]).await;
    client.is(true).await;
    assert_eq!(client.increment("n").await, Ok(2));
}

#[tokio::test]
async fn a_full_redis_fails_calls_and_stays_connected() {
    let server = Server::start().await;
    let client = open(&server.url()).await.unwrap();
    server.refuse_writes(true).await;
    let error = client.increment("n").await.unwrap_err();
    assert!(matches!(&error, RedisError::Answered(text) if text.contains("OOM")), "{error:?}");
    assert!(client.redis.is_up());
    server.refuse_writes(false).await;
    assert_eq!(client.increment("n").await, Ok(1));
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_once_and_the_right_one_is_not() {
    let server = Server::start_with_password().await;
    let address = server.address;
    for wrong in ["", ":wrongsecret@", "nobody:wrongsecret@"] {
        let began = Instant::now();
        let error = open(&format!("redis://{wrong}{address}")).await.err().expect("a wrong password").to_string();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("correct user and password") && !error.contains("wrongsecret"), "{error}");
    }
    for right in [server.url(), format!("redis://default:{PASSWORD}@{address}")] {
        assert!(open(&right).await.unwrap().increment("n").await.is_ok());
    }
}

#[tokio::test]
async fn rediss_is_encrypted_and_trusts_the_given_authorities_only() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority).await;
    let config = RedisConfig::new(server.url().parse().unwrap());
    let trusting = Arc::clone(authority.connector(None).config());
    let client = Client::start(ConnectionTask::open(&config, &trusting, Arc::new(Unobserved)).await.unwrap());
    assert_eq!(client.increment("n").await, Ok(1));
    let error = open(&server.url()).await.err().expect("an unknown authority").to_string();
    assert!(error.contains("certificate") && error.contains("SSL_CERT_FILE"), "{error}");
    let plain = open(&server.url().replace("rediss", "redis")).await.err().expect("no TLS").to_string();
    assert!(plain.contains(&server.address.to_string()), "{plain}");
}

#[tokio::test]
async fn an_unreachable_or_silent_redis_is_an_error_within_bounds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    // The kernel accepts connections to it; nothing answers.
    let began = Instant::now();
    let error = open(&format!("redis://{address}")).await.err().expect("no answer").to_string();
    assert!(error.contains(&address.to_string()) && error.contains("start Redis"), "{error}");
    drop(silent);
    let refused = open(&format!("redis://{address}")).await.err().expect("no listener").to_string();
    assert!(refused.contains("refused"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_redis_that_starts_late_is_waited_for() {
    let mut server = Server::start().await;
    server.kill().await;
    let url = server.url();
    let opening = tokio::spawn(async move { open(&url).await });
    server.launch().await;
    assert_eq!(opening.await.unwrap().unwrap().increment("n").await, Ok(1));
}
