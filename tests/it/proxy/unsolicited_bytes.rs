//! Bytes that an upstream sends on idle connections without a request: no client may get them as an answer.

use serde_json::json;

use super::says;
use crate::server::Server;
use test_support::frames::{answer, request};
use test_support::http::Request;
use test_support::upstream::{Gate, Script, Upstream};

/// More connections than one poll can check with tokio's cooperative budget of 128 units: each takes two, or one over
/// TLS.
const fn kept(tls: bool) -> usize {
    if tls { 140 } else { 70 }
}

const KEYS: [&str; 2] = ["sk-alice-0123456789", "sk-bobby-0123456789"];

fn ask(stream: bool, key: &str) -> Request {
    Request::chat(&request(&json!({ "stream": stream }))).bearer(key)
}

async fn server(upstream: &Upstream, more: &str) -> Server {
    let [alice, bobby] = KEYS;
    let keys = format!("keys: [{{name: alice, key: {alice}}}, {{name: bobby, key: {bobby}}}]\n");
    let upstream = format!("{{base_url: '{}', {more}}}", upstream.url());
    Server::start(&format!("{keys}models: [{{name: m, upstreams: [{upstream}]}}]\n")).await
}

/// Leaves `kept` connections in the server's pool. On each the upstream then plays `behind`.
async fn keep(kept: usize, upstream: &Upstream, server: &Server, behind: &Script) {
    let (together, later) = (Gate::new(), Gate::new());
    let mut clients = Vec::new();
    let asked = upstream.requests().len();
    for _ in 0..kept {
        let whole = Script::json(200, &answer("kept"));
        upstream.answer(Script::new().wait(&together).then(whole).wait(&later).then(behind.clone()));
        let mut client = server.connect().await;
        client.send(&ask(false, KEYS[0])).await;
        clients.push(client);
    }
    upstream.request(asked + kept).await;
    (0..kept).for_each(|_| together.open());
    for client in &mut clients {
        assert_eq!(client.answer().await.whole().await.status, 200);
    }
    (0..kept).for_each(|_| later.open());
}

/// Sends streaming and non-streaming requests with both keys. Each must get its own answer, on a new connection.
async fn each_gets_its_own(upstream: &Upstream, server: &Server) {
    let (accepted, asked) = (upstream.accepted(), upstream.requests().len());
    for (number, (stream, key)) in
        [(true, KEYS[0]), (false, KEYS[1]), (false, KEYS[0]), (true, KEYS[1])].into_iter().enumerate()
    {
        let text = format!("answer {number}");
        upstream.answer(if stream { says(&[&text]) } else { Script::json(200, &answer(&text)) });
        let whole = server.ask(&ask(stream, key)).await;
        if stream {
            assert_eq!(whole.transcript().text(0), text);
        } else {
            assert_eq!(whole.json()["choices"][0]["message"]["content"], text.as_str());
        }
    }
    let connections: Vec<_> = upstream.requests()[asked..].iter().map(|request| request.connection).collect();
    assert!(connections.len() == 4 && connections.iter().all(|number| *number > accepted), "{connections:?}");
}

async fn start(tls: bool) -> (Upstream, Server) {
    if !tls {
        let upstream = Upstream::start([]).await;
        let server = server(&upstream, "").await;
        return (upstream, server);
    }
    let upstream = Upstream::start_tls([]).await;
    let server = server(&upstream, &format!("ca_file: '{}'", upstream.ca_file().display())).await;
    (upstream, server)
}

async fn unsolicited_answers_reach_no_client(tls: bool) {
    for unasked in [
        Script::whole(408, "connection: close\r\n", "too late"),
        Script::json(200, &answer("of somebody else")),
        Script::sse(["of somebody else"]),
        Script::new().write("\r\n"),
    ] {
        let (upstream, server) = start(tls).await;
        keep(kept(tls), &upstream, &server, &unasked).await;
        upstream.await_idle(kept(tls)).await;
        each_gets_its_own(&upstream, &server).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn an_unsolicited_answer_reaches_no_client() {
    unsolicited_answers_reach_no_client(false).await;
}

#[tokio::test]
async fn an_unsolicited_answer_reaches_no_client_over_tls() {
    unsolicited_answers_reach_no_client(true).await;
}

#[tokio::test]
async fn however_many_kept_connections_are_closed_no_request_fails() {
    for (tls, behind) in [
        (false, Script::new().close()),
        (false, Script::new().reset()),
        (true, Script::new().close()),
        (true, Script::new().reset()),
    ] {
        let (upstream, server) = start(tls).await;
        keep(kept(tls), &upstream, &server, &behind).await;
        upstream.await_closed().await;
        each_gets_its_own(&upstream, &server).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_a_kept_connection_answers_with_408_is_sent_again_on_a_new_one() {
    for stream in [true, false] {
        let late = Script::whole(408, "connection: close\r\n", "too late").close();
        let last = if stream { says(&["b"]) } else { Script::json(200, &answer("b")) };
        let upstream = Upstream::start([says(&["a"]), late, last]).await;
        let server = server(&upstream, "").await;
        assert_eq!(server.ask(&ask(true, KEYS[0])).await.status, 200);
        assert_eq!(server.ask(&ask(stream, KEYS[1])).await.status, 200);
        let connections: Vec<_> = upstream.requests().iter().map(|request| request.connection).collect();
        assert_eq!(connections, [1, 1, 2]);
        server.stop().await;
    }
}
