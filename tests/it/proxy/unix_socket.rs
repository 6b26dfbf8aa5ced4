//! Upstreams on unix sockets.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::says;
use crate::server::Server;
use test_support::becomes;
use test_support::config::{model, one_model};
use test_support::frames::{answer, request};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

fn ask(stream: bool) -> Request {
    Request::chat(&request(&json!({ "stream": stream })))
}

#[tokio::test]
async fn streams_and_plain_answers_share_a_kept_connection() {
    let upstream = Upstream::start_unix([says(&["a"]), Script::json(200, &answer("hi")), says(&["b"])]).await;
    let server = Server::start_on_disk(&one_model(&upstream, "api_key: sk-upstream-key")).await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "a");
    assert_eq!(server.ask(&ask(false)).await.json()["choices"][0]["message"]["content"], "hi");
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "b");
    for asked in upstream.requests() {
        assert_eq!((asked.connection, asked.line()), (1, "POST /v1/chat/completions HTTP/1.1"));
        let headers = (asked.header("host"), asked.header("authorization"));
        assert_eq!(headers, (Some("localhost"), Some("Bearer sk-upstream-key")));
    }
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    assert!(metrics.text().contains(&upstream.name()), "{}", metrics.text());
    assert_eq!(server.records().await[0].target.as_deref(), Some(&*upstream.name()));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_in_silence() {
    let upstream = Upstream::start_unix([says(&["a"]), says(&["b"]), Script::new().close(), says(&["c"])]).await;
    let server = Server::in_front_of(&upstream).await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "a");
    upstream.close_idle().await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "b");
    // Closed on the request, which it may not have seen.
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "c");
    let connections: Vec<_> = upstream.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1, 2, 2, 3]);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_connection() {
    let gate = test_support::upstream::Gate::new();
    let upstream = Upstream::start_unix([Script::stream().frame(&test_support::frames::first()).wait(&gate)]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut client = server.connect().await;
    client.send(&ask(true)).await;
    upstream.request(1).await;
    client.reset();
    upstream.await_closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_a_failed_connection() {
    let next = Upstream::start_unix([says(&["a"])]).await;
    let gone = Upstream::start_unix([]).await;
    let file = gone.url().replace("unix:", "").replace(":/v1", "");
    std::fs::remove_file(&file).unwrap();
    let server = Server::in_front_of(&gone).await;
    assert_eq!(server.ask(&ask(true)).await.error(502)["code"], "upstream_unreachable");
    server.stop().await;
    let server = Server::start(&model(&[(&gone, ""), (&next, "priority: 1")], &[])).await;
    assert_eq!(server.ask(&ask(true)).await.transcript().text(0), "a");
    server.stop().await;
}

#[tokio::test]
async fn a_request_waits_for_room_in_the_queue_of_the_socket() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("s");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    // One connection fits into the queue.
    let first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let yaml = format!(
        "auth: none\nmodels: [{{name: m, upstreams: [{{base_url: 'unix:{}'}}], retries: {{attempts: 1}}}}]\n",
        path.display()
    );
    let server = Server::start(&yaml).await;
    let mut client = server.connect().await;
    client.send(&ask(false)).await;
    let in_flight = async || {
        let stats = server.ask(&Request::new("GET", "/api/stats")).await.json();
        stats["upstreams"][0]["inFlight"].as_u64()
    };
    becomes(&Some(1), in_flight).await;
    // Both are accepted, the second one when the first has made room.
    let listener = std::os::unix::net::UnixListener::from(std::os::fd::OwnedFd::from(socket));
    let accepting = tokio::task::spawn_blocking(move || {
        let queued = listener.accept().unwrap().0;
        let mut asking = listener.accept().unwrap().0;
        drop((queued, first));
        let mut asked = Vec::new();
        while !asked.ends_with(b"}") {
            let mut buffer = [0; 4096];
            let count = asking.read(&mut buffer).unwrap();
            asked.extend_from_slice(&buffer[..count]);
        }
        let body = answer("hi");
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        asking.write_all((head + &body).as_bytes()).unwrap();
        asking
    });
    assert_eq!(client.answer().await.whole().await.json()["choices"][0]["message"]["content"], "hi");
    drop(accepting.await.unwrap());
    server.stop().await;
}

#[tokio::test]
async fn the_list_of_models_comes_over_the_socket() {
    let upstream = Upstream::start_unix([]).await;
    upstream.answer_models(Script::json(200, r#"{"data": [{"id": "far"}]}"#));
    let yaml = format!("auth: none\nmodels: [{{name: '*', upstreams: [{{base_url: '{}'}}]}}]\n", upstream.url());
    let server = Server::start(&yaml).await;
    assert_eq!(server.ask(&Request::new("GET", "/v1/models")).await.json()["data"][1]["id"], "far");
    let asked = upstream.request(1).await;
    assert_eq!((asked.line(), asked.header("host")), ("GET /v1/models HTTP/1.1", Some("localhost")));
    server.stop().await;
}
