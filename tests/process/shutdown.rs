//! Signals: running streams go on to their end or to the drain deadline, and the exit code is 0.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;

use test_support::completion_stream::{self, Ending};
use test_support::config::one_model;
use test_support::frames::{first, frame, last, request, text, usage};
use test_support::http::{self, Connection, Piece, Request};
use test_support::program::{Folder, Program};
use test_support::upstream::{Gate, Script, Upstream};
use test_support::{soon, usage_records};

fn stream(model: &str) -> Request {
    Request::chat(&request(&json!({"stream": true, "model": model})))
}

/// A free port.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn refuses_connections(program: &Program) {
    let refused = async { while TcpStream::connect(program.address).await.is_ok() {} };
    soon("new connections to be refused", refused).await;
}

#[tokio::test]
async fn a_running_stream_completes_and_new_connections_are_refused() {
    let gate = Gate::new();
    let script = Script::stream().frame(&first()).wait(&gate).frame(&text("a")).frame(&last("stop"));
    let upstream = Upstream::start([script.frame(&usage(5, 1)).frame("[DONE]").end()]).await;
    let open = free_port();
    let folder = Folder::with(&(one_model(&upstream, "") + &format!("metrics: {{listen: '{open}'}}\n")));
    let program = folder.start().await;
    let readyz = Request::new("GET", "/readyz");
    assert_eq!((program.ask(&readyz).await.status, http::ask(open, &readyz).await.status), (200, 200));
    let mut idle = Connection::open(program.address).await;
    assert_eq!(idle.ask(&readyz).await.whole().await.status, 200);
    let mut fresh = Connection::open(program.address).await;
    let mut connection = Connection::open(program.address).await;
    let mut answer = connection.ask(&stream("m")).await;
    assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));

    program.signal("TERM").await;
    refuses_connections(&program).await;
    assert_eq!(http::ask(open, &readyz).await.status, 503, "a balancer that asks is told");
    assert!(idle.closed_cleanly().await);
    assert!(fresh.closed_cleanly().await, "one that never asked anything");

    gate.open();
    let rest = String::from_utf8(answer.body().await).unwrap();
    assert_eq!(rest, frame(&text("a")) + &frame(&last("stop")) + &frame("[DONE]"));
    assert!(connection.closed_cleanly().await, "after its last answer");
    assert_eq!(program.ended().await.0.code(), Some(0));
    let records = usage_records::read(&folder.database()).await;
    let endings: Vec<_> = records.iter().map(|record| (record.ending(), record.counts())).collect();
    assert_eq!(endings, [(("completed", None, 200), (5, 1, Some("exact")))]);
}

#[tokio::test]
async fn at_the_drain_deadline_streams_get_one_error_frame() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().frame(&first()).frame(&text("a")).wait(&never)]).await;
    let more = "drain: 1s\nresponder: {tokens_per_second: 0.1}\n";
    let folder = Folder::with(&(one_model(&upstream, "") + more));
    let program = folder.start().await;
    let (mut remote, mut local) = (Connection::open(program.address).await, Connection::open(program.address).await);
    let (mut remote, mut local) = (remote.ask(&stream("m")).await, local.ask(&stream("petstore-ai")).await);
    let mut begin = Vec::new();
    while !begin.ends_with(frame(&text("a")).as_bytes()) {
        let Piece::Data(data) = remote.piece().await else { panic!("an end") };
        begin.extend_from_slice(&data);
    }
    assert!(matches!(local.piece().await, Piece::Data(_)));

    let since = Instant::now();
    program.signal("TERM").await;
    for (name, answer) in [("remote", &mut remote), ("local", &mut local)] {
        let rest = answer.body().await;
        assert!(since.elapsed() >= Duration::from_secs(1), "{name}: before the deadline");
        let transcript = completion_stream::read(&rest);
        let Ending::Failed(error) = &transcript.ending else { panic!("{name}: {transcript:#?}") };
        assert_eq!(error["code"], "server_shutdown", "{name}");
        assert_eq!(transcript.frames.len(), 2, "{name}: one error frame and the end: {transcript:#?}");
    }
    upstream.await_closed().await;
    assert_eq!(program.ended().await.0.code(), Some(0));
    let mut endings: Vec<_> = usage_records::read(&folder.database())
        .await
        .into_iter()
        .map(|record| (record.model, record.terminal, record.reason, record.status))
        .collect();
    endings.sort();
    let shutdown = |model: &str| (model.into(), "shutdown".into(), Some("server_shutdown".into()), 200);
    assert_eq!(endings, [shutdown("m"), shutdown("petstore-ai")]);
}

#[tokio::test]
async fn at_the_drain_deadline_a_request_without_a_response_head_gets_an_error() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::new().wait(&never)]).await;
    let folder = Folder::with(&(one_model(&upstream, "") + "drain: 500ms\n"));
    let program = folder.start().await;
    let mut connection = Connection::open(program.address).await;
    connection.send(&Request::chat(&request(&json!({})))).await;
    upstream.request(1).await;
    program.signal("INT").await;
    let whole = connection.answer().await.whole().await;
    assert_eq!(whole.error(503)["code"], "server_shutdown");
    assert!(whole.header("retry-after").is_some());
    assert_eq!(program.ended().await.0.code(), Some(0));
}

/// A server with a proxied stream that continues when `gate` is opened.
struct Proxying {
    program: Program,
    folder: Folder,
    gate: Gate,
    upstream: Upstream,
}

async fn proxying(more: &str) -> Proxying {
    let gate = Gate::new();
    let script = Script::stream().frame(&first()).frame(&text("a")).wait(&gate).frame(&last("stop"));
    let upstream = Upstream::start([script.frame(&usage(5, 1)).frame("[DONE]").end()]).await;
    let folder = Folder::with(&(one_model(&upstream, "") + "drain: 1h\n" + more));
    Proxying { program: folder.start().await, folder, gate, upstream }
}

/// The stream, up to the point at which it waits.
async fn up_to_the_gate(connection: &mut Connection) -> http::Answer<'_> {
    let mut answer = connection.ask(&stream("m")).await;
    let mut begin = Vec::new();
    while !begin.ends_with(frame(&text("a")).as_bytes()) {
        let Piece::Data(data) = answer.piece().await else { panic!("an end") };
        begin.extend_from_slice(&data);
    }
    answer
}

#[tokio::test]
async fn a_second_signal_within_a_second_is_the_same_signal() {
    for signals in [["TERM", "TERM"], ["INT", "TERM"], ["QUIT", "INT"]] {
        // If the second signal is late, on a busy machine, this shows nothing.
        loop {
            let running = proxying("").await;
            let mut connection = Connection::open(running.program.address).await;
            let mut answer = up_to_the_gate(&mut connection).await;
            let since = Instant::now();
            running.program.signal(signals[0]).await;
            refuses_connections(&running.program).await;
            running.program.signal(signals[1]).await;
            if since.elapsed() >= Duration::from_secs(1) {
                continue;
            }
            running.gate.open();
            let rest = String::from_utf8(answer.body().await).unwrap();
            assert_eq!(rest, frame(&last("stop")) + &frame("[DONE]"), "{signals:?}");
            assert_eq!(running.program.ended().await.0.code(), Some(0), "{signals:?}");
            break;
        }
    }
}

#[tokio::test]
async fn a_later_signal_ends_streams_at_once_with_their_error_frames_and_records() {
    let running = proxying("responder: {tokens_per_second: 0.1}\n").await;
    let program = &running.program;
    let mut remote = Connection::open(program.address).await;
    let mut remote = up_to_the_gate(&mut remote).await;
    let (mut local, mut events) = (Connection::open(program.address).await, Connection::open(program.address).await);
    let mut local = local.ask(&stream("petstore-ai")).await;
    assert!(matches!(local.piece().await, Piece::Data(_)));
    let mut events = events.ask(&Request::new("GET", "/api/events?topics=pets")).await;
    assert!(matches!(events.piece().await, Piece::Data(_)));

    program.signal("TERM").await;
    refuses_connections(program).await;
    // A measurement: the time begins when the server has received the first signal.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    program.signal("INT").await;
    for (name, answer) in [("remote", &mut remote), ("local", &mut local)] {
        let rest = answer.body().await;
        let transcript = completion_stream::read(&rest);
        let Ending::Failed(error) = &transcript.ending else { panic!("{name}: {transcript:#?}") };
        assert_eq!(error["code"], "server_shutdown", "{name}");
    }
    let rest = String::from_utf8(events.body().await).unwrap();
    assert!(rest.lines().any(|line| line.starts_with("retry: ")), "{rest}");
    running.upstream.await_closed().await;
    assert_eq!(running.program.ended().await.0.code(), Some(0));
    let records = usage_records::read(&running.folder.database()).await;
    let mut endings: Vec<_> = records.iter().map(|record| (record.model.as_str(), record.ending())).collect();
    endings.sort_unstable();
    let shutdown = ("shutdown", Some("server_shutdown"), 200);
    assert_eq!(endings, [("m", shutdown), ("petstore-ai", shutdown)]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_was_started_with_hup_ignored_ignores_it() {
    let folder = Folder::with("auth: none\n");
    for (line, ignored) in [("trap '' HUP", true), (":", false)] {
        let program = folder.start_after(line).await;
        assert_eq!(program.ignores_hup(), ignored, "{line}");
        program.stop().await;
    }
}

#[tokio::test]
async fn an_unfinished_request_does_not_delay_the_stop() {
    let folder = Folder::with("auth: none\ndrain: 500ms\n");
    let program = folder.start().await;
    let mut half_a_head = Connection::open(program.address).await;
    half_a_head.send_raw(b"GET /readyz HT").await;
    let mut half_a_body = Connection::open(program.address).await;
    half_a_body.send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{").await;
    assert_eq!(program.ask(&Request::new("GET", "/healthz")).await.status, 200);
    program.signal("TERM").await;
    assert_eq!(program.ended().await.0.code(), Some(0));
    drop((half_a_head, half_a_body));
}
