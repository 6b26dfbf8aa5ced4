//! Connections to upstreams: reuse, replacement of stale ones, TLS.

use serde_json::json;

use super::says;
use crate::server::Server;
use test_support::completion_stream;
use test_support::config::one_model;
use test_support::frames::{answer, first, last, request};
use test_support::http::Request;
use test_support::upstream::{Gate, Script, Upstream};

fn ask(stream: bool) -> Request {
    Request::chat(&request(&json!({ "stream": stream })))
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let whole = || Script::json(200, &answer("hi"));
    let upstream =
        Upstream::start([says(&["a"]), whole(), says(&["b"]), whole(), Script::json(400, "{}"), whole()]).await;
    let server = Server::in_front_of(&upstream).await;
    for (stream, status) in [(true, 200), (false, 200), (true, 200), (false, 200), (false, 400), (false, 200)] {
        assert_eq!(server.ask(&ask(stream)).await.status, status);
    }
    assert!(upstream.requests().iter().all(|request| request.connection == 1), "{:#?}", upstream.requests());
    server.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_the_upstream_has_closed_is_replaced_in_silence() {
    let upstream = Upstream::start([says(&["a"]), says(&["b"])]).await;
    let server = Server::in_front_of(&upstream).await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "a");
    upstream.close_idle().await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "b");
    assert_eq!(upstream.accepted(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_the_request_is_replaced_in_silence() {
    for reset in [true, false] {
        for stream in [true, false] {
            let gone = if reset { Script::new().reset() } else { Script::new().close() };
            let last = if stream { says(&["b"]) } else { Script::json(200, &answer("b")) };
            let upstream = Upstream::start([says(&["a"]), gone, last]).await;
            let server = Server::in_front_of(&upstream).await;
            assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "a");
            assert_eq!(server.ask(&ask(stream)).await.status, 200, "reset: {reset}, stream: {stream}");
            let asked = upstream.requests();
            assert_eq!(asked.iter().map(|request| request.connection).collect::<Vec<_>>(), [1, 1, 2]);
            assert_eq!(asked[1].body, asked[2].body);
            server.stop().await;
        }
    }
}

/// Two concurrent streams, which leave two idle connections.
async fn two_idle(upstream: &Upstream, gate: &Gate, server: &Server) {
    let script = || Script::stream().frame(&first()).wait(gate).frame(&last("stop")).frame("[DONE]").end();
    let mut clients = [server.connect().await, server.connect().await];
    for client in &mut clients {
        upstream.answer(script());
        client.send(&ask(true)).await;
    }
    upstream.request(2).await;
    for client in &mut clients {
        gate.open();
        gate.open();
        completion_stream::read(&client.answer().await.body().await).assert_contract(1, false);
    }
    upstream.await_idle(2).await;
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn a_request_is_sent_again_once_and_not_on_another_kept_connection() {
    for streaming in [true, false] {
        let (gate, upstream) = (Gate::new(), Upstream::start([]).await);
        let server = Server::in_front_of(&upstream).await;
        two_idle(&upstream, &gate, &server).await;
        // The idle connection and the new one: both are closed on the request.
        upstream.answer(Script::new().close());
        upstream.answer(Script::new().close());
        assert_eq!(server.ask(&ask(streaming)).await.error(502)["code"], "upstream_closed");
        let asked: Vec<_> = upstream.requests()[2..].iter().map(|request| request.connection).collect();
        assert!(matches!(asked[..], [1 | 2, 3]), "{asked:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn however_many_kept_connections_are_closed_a_request_is_sent_once() {
    let (gate, upstream) = (Gate::new(), Upstream::start([]).await);
    let server = Server::in_front_of(&upstream).await;
    two_idle(&upstream, &gate, &server).await;
    upstream.close_idle().await;
    upstream.answer(says(&["b"]));
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "b");
    let asked: Vec<_> = upstream.requests()[2..].iter().map(|request| request.connection).collect();
    assert_eq!(asked, [3]);
    server.stop().await;
}

#[tokio::test]
async fn a_partly_answered_request_is_not_retried() {
    let half = Script::new().write("HTTP/1.1 200 OK\r\ncontent-").close();
    let upstream = Upstream::start([says(&["a"]), half]).await;
    let server = Server::in_front_of(&upstream).await;
    assert_eq!(server.ask(&ask(true)).await.status, 200);
    assert_eq!(server.ask(&ask(false)).await.error(502)["code"], "upstream_closed");
    assert_eq!(upstream.requests().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_whose_answer_says_close_is_not_kept() {
    let whole = Script::whole(200, "content-type: application/json\r\nconnection: close\r\n", &answer("hi")).close();
    let upstream = Upstream::start([whole.clone(), whole]).await;
    let server = Server::in_front_of(&upstream).await;
    for _ in 0..2 {
        assert_eq!(server.ask(&ask(false)).await.status, 200);
    }
    assert_eq!(upstream.accepted(), 2);
    upstream.await_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_connection_is_kept_even_when_the_end_of_its_stream_comes_late() {
    let late = Gate::new();
    let stream = Script::stream().frame(&first()).frame(&last("stop")).frame("[DONE]").wait(&late).end();
    let upstream = Upstream::start([stream]).await;
    let server = Server::in_front_of(&upstream).await;
    // For the client the stream ends at `[DONE]`, whatever the upstream does then.
    server.ask(&ask(true)).await.transcript().assert_contract(1, false);
    late.open();
    // Until the connection is back in the pool, a new one would be opened.
    upstream.close_idle().await;
    server.stop().await;
}

#[tokio::test]
async fn over_tls_with_an_authority_of_ones_own() {
    let upstream = Upstream::start_tls([says(&["a"]), Script::json(200, &answer("hi"))]).await;
    let server = Server::start(&one_model(&upstream, &format!("ca_file: '{}'", upstream.ca_file().display()))).await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "a");
    assert_eq!(server.ask(&ask(false)).await.status, 200);
    assert_eq!(upstream.accepted(), 1, "encrypted connections are kept too");
    server.stop().await;
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused() {
    let upstream = Upstream::start_tls([]).await;
    let other = Upstream::start_tls([]).await;
    let server = Server::start(&one_model(&upstream, &format!("ca_file: '{}'", other.ca_file().display()))).await;
    assert_eq!(server.ask(&ask(true)).await.error(502)["code"], "upstream_unreachable");
    assert_eq!(upstream.requests().len(), 0);
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_close_when_the_server_stops() {
    let upstream = Upstream::start([says(&["a"])]).await;
    let server = Server::in_front_of(&upstream).await;
    assert_eq!(server.ask(&ask(true)).await.status, 200);
    server.stop().await;
    upstream.await_closed().await;
}
