//! A server that stands still for ten seconds (SIGSTOP) and continues, under all kinds of load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::load::{KEY, LIMIT, Load, STREAMS, STREAMS_KEY, Upstreams, model, outages, says};
use crate::replicas::{Replicas, Setup};
use test_support::completion_stream::Ending;
use test_support::frames::{first, last, request, text};
use test_support::http::{Connection, Request, Whole};
use test_support::servers::postgres::Database;
use test_support::servers::redis::Redis;
use test_support::soon;
use test_support::upstream::{Gate, Script, Upstream};

const COUNT: usize = 3;
const PAUSED: usize = 1;
/// Length of the pause.
const PAUSE: Duration = Duration::from_secs(10);
/// Longest time until the permits of a server that stands still are free.
const FREE: Duration = Duration::from_secs(6);

/// Begins a stream, which is read to its end; none if it is refused by the limit.
async fn begin(server: SocketAddr) -> Option<JoinHandle<Whole>> {
    let request = Request::chat(&request(&json!({"model": "streams", "stream": true}))).bearer(STREAMS_KEY);
    let (sender, status) = oneshot::channel();
    let reading = tokio::spawn(async move {
        let mut connection = Connection::open(server).await;
        let answer = connection.ask(&request).await;
        let _ = sender.send(answer.status());
        answer.whole().await
    });
    match soon("the head of a stream", status).await.unwrap() {
        200 => Some(reading),
        429 => None,
        status => panic!("{status}"),
    }
}

/// Begins so many streams on one server, as soon as the limit allows.
async fn begin_all(server: SocketAddr, count: usize) -> Vec<JoinHandle<Whole>> {
    let mut streams = Vec::new();
    let beginning = async {
        while streams.len() < count {
            streams.extend(begin(server).await);
        }
    };
    soon("permits", beginning).await;
    streams
}

async fn assert_used_up(replicas: &Replicas, numbers: &[usize]) {
    for &number in numbers {
        assert!(begin(replicas.program(number).address).await.is_none(), "a stream beyond the limit at {number}");
    }
}

/// Lets the streams end, which must be whole.
async fn end(gate: &Gate, streams: Vec<JoinHandle<Whole>>) {
    streams.iter().for_each(|_| gate.open());
    for stream in streams {
        assert_eq!(soon("a stream to end", stream).await.unwrap().transcript().ending, Ending::Complete);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_for_ten_seconds_frees_its_permits_and_continues() {
    let (database, redis, gate) = (Database::create().await, Redis::start().await, Gate::new());
    let (upstreams, slow) = (Upstreams::start().await, Upstream::start([]).await);
    let script = Script::stream().frame(&first()).frame(&text("a")).wait(&gate).frame(&last("stop")).frame("[DONE]");
    slow.answer_otherwise(script.end());
    let yaml = upstreams.yaml() + &model("streams", &slow);
    let setups = vec![Setup::with_redis(&redis.url()); COUNT];
    let replicas = Replicas::start_each(&yaml, &database.url, setups).await.with_key(KEY);
    let mut load = Load::start(upstreams, replicas.balancer.address);
    load.settle(&replicas, &[0, 1, 2]).await;
    let mut streams = Vec::new();
    for number in 0..COUNT {
        streams.extend(begin_all(replicas.program(number).address, STREAMS / COUNT).await);
    }
    assert_used_up(&replicas, &[0, 1, 2]).await;
    load.answers();
    load.over();

    replicas.leave_out(PAUSED);
    replicas.program(PAUSED).signal("STOP").await;
    let stopped = Instant::now();
    streams.extend(begin_all(replicas.program(0).address, STREAMS / COUNT).await);
    let free = stopped.elapsed();
    assert!(free < FREE, "{free:?}");
    assert_used_up(&replicas, &[0, 2]).await;
    load.writers.progress(50).await;
    tokio::time::sleep_until((stopped + PAUSE).into()).await;
    replicas.program(PAUSED).signal("CONT").await;
    replicas.balance();

    load.settle(&replicas, &[0, 1, 2]).await;
    // Its streams still run, and count again: for a while there are more than the limit by these.
    assert_eq!(streams.len(), STREAMS + STREAMS / COUNT);
    assert_used_up(&replicas, &[0, 1, 2]).await;
    end(&gate, streams).await;
    let again = begin_all(replicas.program(2).address, STREAMS).await;
    assert_used_up(&replicas, &[0, 1, 2]).await;
    end(&gate, again).await;

    let answers = load.answers();
    // Each caller may have had one request at the server that stood still.
    assert!(answers.lost <= 5, "{answers:?}");
    let alone = outages(&replicas, &[0, 1, 2]).await.into_iter().filter(|outages| *outages > 0).count();
    let (over, most) = (load.over(), 1.0 + (alone * LIMIT as usize / COUNT) as f64);
    assert!(over <= most, "{over} beyond the limit, at most {most}");
    for number in 0..COUNT {
        says(&replicas, number, "petstream_replicas 3").await;
    }
    let (summary, _) = load.end(&replicas, Vec::new()).await;
    eprintln!("permits of the server that stood still were free after {free:.2?}; over the limit {over:.1}; {summary}");
    replicas.stop().await;
}
