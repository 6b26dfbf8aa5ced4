//! Servers that share a Redis: what each knows of the others, what reaches subscribers of the other, and what becomes of
//! both without it. They are on one machine and share a database file, so that a change of one is in the log of both.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::event_stream::{Stream, get};
use test_support::http::Request;
use test_support::program::{Folder, Program, executable};
use test_support::servers::redis::{PASSWORD, Redis};
use test_support::{becomes, soon};

const OPEN: &str = "auth: none\npage: false\n";
const PET: &str = r#"{"name": "Nemo", "species": "FISH", "breed": "Angelfish", "ageMonths": 3,
    "size": "SMALL", "color": "silver", "price": "0.10"}"#;
/// What a request takes at most without waiting for Redis longer than the 50 ms of one call, on a busy machine.
const PROMPT: Duration = Duration::from_millis(500);

async fn read(program: &Program, target: &str) -> Value {
    let answer = program.ask(&Request::new("GET", target)).await;
    assert_eq!(answer.status, 200, "{target}");
    answer.json()
}

async fn live_replicas(program: &Program) -> Value {
    tokio::time::sleep(Duration::from_millis(20)).await;
    read(program, "/api/stats").await["liveReplicas"].clone()
}

async fn create_pet(program: &Program) {
    let request = Request::new("POST", "/api/pets").header("content-type", "application/json").body(PET);
    let answer = program.ask(&request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// The value of a metric without labels, or with these.
async fn metric(program: &Program, series: &str) -> f64 {
    let answer = program.ask(&Request::new("GET", "/metrics")).await;
    let line = answer.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {series}: {}", answer.text())).parse().unwrap()
}

/// The values of `count` changes on `writer` at a subscriber of another server: how long each took, sorted.
async fn delays(writer: &Program, subscriber: &mut Stream, count: usize) -> Vec<Duration> {
    let mut delays = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        create_pet(writer).await;
        while subscriber.message().await.event != "pet-update" {}
        delays.push(began.elapsed());
    }
    delays.sort();
    delays
}

#[tokio::test]
async fn replicas_know_each_other_until_they_end() {
    let redis = Redis::start().await;
    let folder = Folder::with(OPEN);
    let one = folder.start_with(&["--redis", &redis.url()]).await;
    becomes(&json!(1), async || live_replicas(&one).await).await;
    let other = folder.start_with(&["--redis", &redis.url()]).await;
    for program in [&one, &other] {
        becomes(&json!(2), async || live_replicas(program).await).await;
    }
    assert_eq!(metric(&one, "petstream_replicas").await, 2.0);
    assert_eq!(metric(&one, "petstream_redis_up").await, 1.0);

    let names =
        [read(&one, "/api/stats").await["replica"].clone(), read(&other, "/api/stats").await["replica"].clone()];
    assert_ne!(names[0], names[1]);
    let with_samples = async || {
        let stats = read(&one, "/api/stats?replicas=all").await;
        let replicas = stats["replicas"].as_array().unwrap().iter();
        replicas.filter(|replica| replica["sample"]["t"].is_i64()).map(|replica| replica["replica"].clone()).collect()
    };
    let mut expected: Vec<Value> = names.to_vec();
    expected.sort_by_key(|name| name.as_str().unwrap().to_owned());
    becomes(&expected, with_samples).await;
    assert!(read(&one, "/api/stats").await.get("replicas").is_none());

    // One that ends by itself is gone at once, one that is killed after five seconds.
    let began = Instant::now();
    other.stop().await;
    becomes(&json!(1), async || live_replicas(&one).await).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let third = folder.start_with(&["--redis", &redis.url()]).await;
    becomes(&json!(2), async || live_replicas(&one).await).await;
    third.kill().await;
    let killed = Instant::now();
    becomes(&json!(1), async || live_replicas(&one).await).await;
    let gone = killed.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(8)).contains(&gone), "{gone:?}");
    one.stop().await;
}

#[tokio::test]
async fn a_change_on_one_replica_is_with_subscribers_of_the_other_long_before_the_poll() {
    let redis = Redis::start().await;
    let folder = Folder::with(OPEN);
    let writer = folder.start_with(&["--redis", &redis.url()]).await;
    let reader = folder.start_with(&["--redis", &redis.url()]).await;
    let (_, mut stream) = Stream::greeted(reader.address, get("/api/events?topics=pets")).await;
    let delays = delays(&writer, &mut stream, 15).await;
    // The poll alone would take half a second on average.
    assert!(delays[7] < Duration::from_millis(150), "{delays:?}");
    assert!(metric(&reader, r#"petstream_commit_notifications_total{kind="received"}"#).await >= 1.0);
    assert!(metric(&writer, r#"petstream_commit_notifications_total{kind="sent"}"#).await >= 1.0);
    assert!(metric(&writer, "petstream_commit_notification_delay_seconds_count").await >= 1.0);
    // The reader has committed nothing, so it has published nothing: notifications do not go round.
    assert_eq!(metric(&reader, r#"petstream_commit_notifications_total{kind="sent"}"#).await, 0.0);
}

#[tokio::test]
async fn wrong_notifications_hide_no_later_ones() {
    let redis = Redis::start().await;
    let folder = Folder::with(OPEN);
    let writer = folder.start_with(&["--redis", &redis.url()]).await;
    let reader = folder.start_with(&["--redis", &redis.url()]).await;
    let (_, mut stream) = Stream::greeted(reader.address, get("/api/events?topics=pets")).await;
    let subscribers = async || redis.command(&["PUBSUB", "NUMSUB", "petstream:commits"]).await;
    becomes(&"petstream:commits\n2".to_owned(), subscribers).await;
    let name = read(&writer, "/api/stats").await["replica"].as_str().unwrap().to_owned();
    let too_high = format!("{name} {}", u64::MAX);
    for message in ["", "nonsense", "0123456789abcdef -5", &too_high, "0123456789abcdef 1", "0123456789abcdef 1"] {
        redis.command(&["PUBLISH", "petstream:commits", message]).await;
    }
    becomes(&3.0, async || metric(&reader, r#"petstream_commit_notifications_total{kind="invalid"}"#).await).await;
    for program in [&writer, &reader] {
        let (_, mut own) = Stream::greeted(program.address, get("/api/events?topics=pets")).await;
        let delays = delays(program, &mut own, 9).await;
        assert!(delays[4] < Duration::from_millis(150), "{delays:?}");
    }
    // The reader's own changes, which its stream has as well.
    soon("the changes", stream.messages(2 * 9)).await;
    let delays = delays(&writer, &mut stream, 9).await;
    assert!(delays[4] < Duration::from_millis(150), "{delays:?}");
}

#[tokio::test]
async fn a_lost_redis_degrades_and_nothing_else() {
    let mut redis = Redis::start().await;
    let folder = Folder::with(OPEN);
    let writer = folder.start_with(&["--redis", &redis.url()]).await;
    let reader = folder.start_with(&["--redis", &redis.url()]).await;
    let (_, mut stream) = Stream::greeted(reader.address, get("/api/events?topics=pets")).await;
    assert_eq!(read(&reader, "/readyz").await, json!({"status": "ready"}));
    for is_stalled in [false, true] {
        // The last known number stays while Redis is away.
        becomes(&json!(2), async || live_replicas(&reader).await).await;
        if is_stalled {
            redis.pause();
        } else {
            redis.kill().await;
        }
        let degraded = json!({"status": "ready", "degraded": ["redis"]});
        becomes(&degraded, async || read(&reader, "/readyz").await).await;
        let began = Instant::now();
        let stats = read(&reader, "/api/stats?replicas=all").await;
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        assert_eq!((&stats["replicas"], &stats["liveReplicas"]), (&Value::Null, &json!(2)));
        // The poll finds what no notification announces.
        let delays = delays(&writer, &mut stream, 3).await;
        assert!(delays[2] < Duration::from_secs(3), "{delays:?}");
        if is_stalled {
            redis.resume();
        } else {
            redis.launch().await;
        }
        for program in [&writer, &reader] {
            becomes(&json!({"status": "ready"}), async || read(program, "/readyz").await).await;
        }
    }
    assert!(metric(&reader, "petstream_redis_reconnects_total").await >= 2.0);
    // Without a live Redis, the end of the server takes no longer.
    redis.pause();
    let began = Instant::now();
    tokio::join!(writer.stop(), async {
        drop(stream);
        reader.stop().await
    });
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_is_an_error_of_the_start() {
    let redis = Redis::start_with_password().await;
    let (address, folder) = (redis.address, Folder::with(OPEN));
    let wrong = format!("redis://:wrong-{PASSWORD}@{address}");
    let outcome = folder.run(&["--listen", "127.0.0.1:0", "--redis", &wrong]).await;
    assert_eq!(outcome.code, 1, "{}", outcome.err);
    assert!(outcome.err.contains(&format!("redis: {address}: ")), "{}", outcome.err);
    assert!(outcome.err.contains("correct user and password"), "{}", outcome.err);
    assert!(!outcome.err.contains(PASSWORD) && !outcome.out.contains(PASSWORD), "{}", outcome.err);
    drop(redis);
    let outcome = folder.run(&["--listen", "127.0.0.1:0", "--redis", &format!("redis://{address}")]).await;
    assert_eq!(outcome.code, 1, "{}", outcome.err);
    assert!(outcome.err.contains(&address.to_string()) && outcome.err.contains("start Redis"), "{}", outcome.err);
    assert!(!folder.path().join("petstream.db").exists(), "nothing is created before");
}

#[tokio::test]
async fn the_log_names_the_server_and_what_it_has_without_the_password() {
    let redis = Redis::start_with_password().await;
    let folder = Folder::with(OPEN);
    let mut command = folder.command(&executable());
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]).env("PETSTREAM_REDIS", redis.url());
    let mut child = command.spawn().unwrap();
    let id = child.id().unwrap().to_string();
    let mut log = String::new();
    let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap());
    while !log.contains("listening on") {
        let read = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut log);
        assert!(soon("a line of the log", read).await.unwrap() > 0, "{log}");
    }
    let sent = tokio::process::Command::new("kill").arg(&id).status().await.unwrap();
    assert!(sent.success());
    soon("the end of the log", tokio::io::AsyncReadExt::read_to_string(&mut lines, &mut log)).await.unwrap();
    let line = log.lines().find(|line| line.contains("redis:")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(&redis.address.to_string()) && line.contains("commit notifications"), "{line}");
    assert!(!log.contains(PASSWORD), "{log}");
}
