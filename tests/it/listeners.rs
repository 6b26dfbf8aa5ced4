//! Listeners beside plain TCP: unix sockets, several at once, the PROXY protocol, the age of connections, the drain.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use test_support::config::one_model;
use test_support::frames::{first, last, text};
use test_support::http::{self, Connection, Request};
use test_support::soon;
use test_support::upstream::{Gate, Script, Upstream};

use crate::server::Server;

const KEY: &str = "secret-of-alice";
const ALICE: &str = "keys: [{name: alice, key: secret-of-alice}]\n";

/// Sends these bytes, and reads until the server closes.
pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    let both = async {
        stream.write_all(bytes).await?;
        stream.read_to_end(&mut answer).await
    };
    // A server that refuses may close before it has read everything.
    let _ = soon("the server to answer and close", both).await;
    String::from_utf8(answer).unwrap()
}

pub(crate) fn get(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n").into()
}

#[tokio::test]
async fn every_listener_answers_and_the_file_of_a_unix_socket_has_its_mode_and_is_removed() {
    let yaml = "listen: [127.0.0.1:0, 127.0.0.1:0, {address: 'unix:p.sock', mode: 660}]\n";
    let server = Server::start_listening(&(yaml.to_owned() + ALICE), &[]).await;
    let path = server.path("p.sock");
    assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let [first, second, unix] = server.addresses() else { panic!("{:?}", server.addresses()) };
    assert_ne!(first, second);
    assert_eq!(unix.to_string(), format!("unix:{}", path.display()));
    for address in [first, second] {
        let stream = TcpStream::connect(address.tcp().unwrap()).await.unwrap();
        assert!(exchange(stream, &get("/v1/models", KEY)).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let answer = exchange(UnixStream::connect(&path).await.unwrap(), &get("/v1/models", KEY)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("petstore-ai"), "{answer}");
    assert!(exchange(UnixStream::connect(&path).await.unwrap(), &get("/v1/models", "wrong")).await.contains(" 401 "));
    let folder = server.stop().await;
    assert!(!folder.path().join("p.sock").exists());
}

#[tokio::test]
async fn a_stream_over_a_unix_socket_ends_with_its_terminal_frame_and_a_client_that_leaves_closes_the_upstream() {
    let whole = Script::sse([first(), text("a"), last("stop"), "[DONE]".to_owned()]);
    let stalled = Script::stream().frame(&first()).frame(&text("a")).wait(&Gate::new());
    let upstream = Upstream::start([whole, stalled]).await;
    let yaml = format!("listen: 'unix:p.sock'\n{}", one_model(&upstream, ""));
    let server = Server::start_listening(&yaml, &[]).await;
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    let request = format!("{head}connection: close\r\n\r\n{body}");
    let answer = exchange(UnixStream::connect(server.path("p.sock")).await.unwrap(), request.as_bytes()).await;
    assert!(answer.contains("data: [DONE]"), "{answer}");
    let mut stream = UnixStream::connect(server.path("p.sock")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut some = [0; 64];
    assert!(soon("the head of the stream", stream.read(&mut some)).await.unwrap() > 0);
    upstream.request(2).await;
    drop(stream);
    soon("the upstream's connection to be closed", upstream.await_closed()).await;
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_for_the_throttle_of_wrong_keys() {
    let yaml = "listen: {address: 127.0.0.1:0, proxy_protocol: true}\n".to_owned() + ALICE;
    let server = Server::start_listening(&yaml, &[]).await;
    let address = server.address;
    let ask = move |header: &'static [u8], key: &'static str| async move {
        let stream = TcpStream::connect(address).await.unwrap();
        exchange(stream, &[header, &get("/v1/models", key)].concat()).await
    };
    // A second of delay for each wrong key of this client beyond the twentieth in a minute; the clock stands still.
    let guesser = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n";
    for _ in 0..20 {
        assert!(ask(guesser, "wrong").await.starts_with("HTTP/1.1 401 "));
    }
    let begin = Instant::now();
    let slow = tokio::spawn(ask(guesser, "wrong"));
    let other = b"PROXY TCP4 203.0.113.8 10.0.0.1 4711 443\r\n";
    assert!(ask(other, "wrong").await.starts_with("HTTP/1.1 401 "));
    assert!(!slow.is_finished(), "another client behind the same balancer is not slowed down");
    assert!(slow.await.unwrap().starts_with("HTTP/1.1 401 "));
    assert!(begin.elapsed() >= Duration::from_secs(1), "the client is slowed down");
    // Version 2: a client, and a health check of the balancer itself.
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\0\x50\x01\xbb";
    assert!(ask(second, KEY).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", KEY).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(b"PROXY UNKNOWN\r\n", KEY).await.starts_with("HTTP/1.1 200 "));
    for wrong in [b"".as_slice(), b"PROXY TCP4 x\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"] {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let bytes = [wrong, &get("/v1/models", KEY), &[b'x'; 8192]].concat();
        assert_eq!(exchange(stream, &bytes).await, "", "{wrong:?}");
    }
}

#[tokio::test]
async fn a_header_of_the_proxy_protocol_may_arrive_byte_by_byte() {
    let yaml = "listen: {address: 127.0.0.1:0, proxy_protocol: true}\n".to_owned() + ALICE;
    let server = Server::start_listening(&yaml, &[]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(exchange(stream, &get("/v1/models", KEY)).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn only_a_trusted_proxy_names_the_client() {
    for (trusted, is_slowed) in [("[127.0.0.0/8]", false), ("[10.0.0.0/8]", true)] {
        let server = Server::start(&format!("trusted_proxies: {trusted}\n{ALICE}")).await;
        let address = server.address;
        let ask = move |client: &'static str| async move {
            let request = Request::new("GET", "/v1/models").bearer("wrong").header("x-forwarded-for", client);
            assert_eq!(http::ask(address, &request).await.status, 401);
        };
        for _ in 0..20 {
            ask("203.0.113.7").await;
        }
        let begin = Instant::now();
        let slow = tokio::spawn(ask("203.0.113.7"));
        ask("203.0.113.8").await;
        if is_slowed {
            assert!(begin.elapsed() >= Duration::from_secs(1), "both are the same client");
        } else {
            assert!(!slow.is_finished(), "another client behind the proxy is not slowed down");
        }
        slow.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_of_its_age_is_closed_after_its_response_and_not_before() {
    let server = Server::start("auth: none\nconnection_age: 400ms\n").await;
    let mut connection = Connection::open(server.address).await;
    let begin = Instant::now();
    let request = Request::new("GET", "/healthz");
    let mut last = None;
    while last.is_none() {
        let answer = connection.ask(&request).await.whole().await;
        assert_eq!(answer.status, 200);
        last = answer.header("connection").map(str::to_owned);
    }
    assert_eq!(last.as_deref(), Some("close"));
    assert!(begin.elapsed() >= Duration::from_millis(360), "{:?}", begin.elapsed());
    assert!(connection.closed_cleanly().await);
}

#[tokio::test]
async fn during_the_delay_of_the_drain_requests_are_served_although_the_server_is_not_ready() {
    let server = Server::start("auth: none\ndrain: {delay: 1h, for: 1s}\n").await;
    server.begin_stop();
    let answer = server.ask(&Request::new("GET", "/readyz")).await;
    let reason: Value = answer.json();
    assert_eq!((answer.status, reason["reason"].as_str()), (503, Some("shutting down")));
    assert_eq!(server.ask(&Request::new("GET", "/v1/models")).await.status, 200);
    // A second signal ends the delay too.
    server.skip_drain();
    drop(server.stop().await);
}

#[tokio::test]
async fn idle_listeners_keep_no_connection_from_the_others() {
    let yaml = "listen: [127.0.0.1:0, 127.0.0.1:0, 127.0.0.1:0]\nauth: none\nlimits: {connections: 2}\n";
    let server = Server::start_listening(yaml, &[]).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(server.address).await;
        assert_eq!(connection.ask(&Request::new("GET", "/healthz")).await.whole().await.status, 200);
        open.push(connection);
    }
}
