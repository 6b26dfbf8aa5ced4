//! Signals: running streams go on to their end or to the drain deadline, and the exit code is 0.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;

use crate::program::{Folder, Program};
use crate::support::frames::{first, frame, last, request, text, usage};
use crate::support::http::{self, Connection, Piece, Request};
use crate::support::server::one_model;
use crate::support::sse::{self, Ending};
use crate::support::upstream::{Gate, Script, Upstream};
use crate::support::{records, soon};

fn stream(model: &str) -> Request {
    Request::chat(&request(&json!({"stream": true, "model": model})))
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn refuses_connections(program: &Program) {
    let refused = async { while TcpStream::connect(program.address).await.is_ok() {} };
    soon("new connections to be refused", refused).await;
}

#[tokio::test]
async fn a_running_stream_ends_well_and_nobody_new_is_let_in() {
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
    let records = records::read(&folder.database()).await;
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
        let transcript = sse::read(&rest);
        let Ending::Failed(error) = &transcript.ending else { panic!("{name}: {transcript:#?}") };
        assert_eq!(error["code"], "server_shutdown", "{name}");
        assert_eq!(transcript.frames.len(), 2, "{name}: one error frame and the end: {transcript:#?}");
    }
    upstream.await_closed().await;
    assert_eq!(program.ended().await.0.code(), Some(0));
    let mut endings: Vec<_> = records::read(&folder.database())
        .await
        .into_iter()
        .map(|record| (record.model, record.terminal, record.reason, record.status))
        .collect();
    endings.sort();
    let shutdown = |model: &str| (model.into(), "shutdown".into(), Some("server_shutdown".into()), 200);
    assert_eq!(endings, [shutdown("m"), shutdown("petstore-ai")]);
}

#[tokio::test]
async fn a_request_without_a_head_yet_is_told_at_the_deadline_too() {
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

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for signals in [["TERM", "TERM"], ["INT", "INT"], ["TERM", "INT"]] {
        let never = Gate::new();
        let upstream = Upstream::start([Script::stream().frame(&first()).wait(&never)]).await;
        let folder = Folder::with(&(one_model(&upstream, "") + "drain: 1h\n"));
        let program = folder.start().await;
        let mut connection = Connection::open(program.address).await;
        let mut answer = connection.ask(&stream("m")).await;
        assert!(matches!(answer.piece().await, Piece::Data(_)));
        program.signal(signals[0]).await;
        refuses_connections(&program).await;
        program.signal(signals[1]).await;
        assert_eq!(answer.piece().await, Piece::Cut);
        assert_eq!(program.ended().await.0.code(), Some(0), "{signals:?}");
        upstream.await_closed().await;
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_hold_the_server_up() {
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
