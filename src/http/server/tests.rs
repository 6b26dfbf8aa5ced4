//! Tests of connections with real sockets.

mod arbitrary_heads;
mod buffers;
mod client;
mod early_close;
mod refused;
mod timer;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};

use self::client::{OPTIONS, ServiceFuture, connect};
use super::{ConnectionOptions, RequestBody};

/// Responds with the method, the target and the body of the request.
fn echo(request: Request<RequestBody>) -> ServiceFuture {
    Box::pin(async move {
        let (head, body) = request.into_parts();
        let text = match body.collect().await {
            Ok(body) => String::from_utf8(body.to_bytes().to_vec()).unwrap(),
            Err(error) => error.to_string(),
        };
        let echoed = format!("<{} {} {text}>", head.method, head.uri);
        Ok(Response::new(Body::from(echoed)))
    })
}

/// Responds without reading the body.
fn ignore_body(request: Request<RequestBody>) -> ServiceFuture {
    let (head, _) = request.into_parts();
    let status = if head.uri == "/late" { StatusCode::REQUEST_TIMEOUT } else { StatusCode::OK };
    Box::pin(std::future::ready(Ok(Response::builder().status(status).body(Body::from("<ignored>")).unwrap())))
}

#[tokio::test]
async fn requests_on_one_connection_are_served_in_order_also_pipelined() {
    let mut client = connect(OPTIONS, echo).await;
    client.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.until(">").await.ends_with("<GET /a >"));
    client
        .send("\r\nPOST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabcGET /c?d HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(client.until(">").await.ends_with("<POST /b abc>"));
    assert!(client.until(">").await.ends_with("<GET /c?d >"));
    client.send("GET /d HTTP/1.1\r\nhost: x\r\nconnection: x, close\r\n\r\n").await;
    let last = client.rest().await;
    assert!(last.contains("connection: close\r\n") && last.ends_with("<GET /d >"), "{last}");
    client.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn each_request_has_its_own_target_whatever_the_previous_one_was() {
    let long = format!("/{}", "x".repeat(1_000));
    let mut client = connect(OPTIONS, echo).await;
    for (target, read) in [
        ("/", "/"),
        ("/a?b", "/a?b"),
        ("/a?b", "/a?b"),
        ("/a", "/a"),
        ("/a#b", "/a"),
        ("http://x/a", "http://x/a"),
        ("/a", "/a"),
        ("*", "*"),
        (&long, &long),
        (&long, &long),
        ("/", "/"),
    ] {
        client.send(&format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let response = client.until(">").await;
        assert!(response.ends_with(&format!("<GET {read} >")), "{target}: {response}");
    }
}

#[tokio::test]
async fn bodies_are_received_in_any_split() {
    let bodies = [
        ("content-length: 10\r\n\r\n0123456789", "0123456789"),
        ("transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n7;x=y\r\ndefghij\r\n0\r\nx: y\r\n\r\n", "abcdefghij"),
        ("content-length: 0\r\n\r\n", ""),
    ];
    for (request, body) in bodies {
        let all = format!("POST / HTTP/1.1\r\nhost: x\r\n{request}");
        let mut client = connect(OPTIONS, echo).await;
        for at in 1..all.len() {
            client.send(&all[..at]).await;
            tokio::task::yield_now().await;
            client.send(&all[at..]).await;
            assert!(client.until(">").await.ends_with(&format!("<POST / {body}>")), "split at {at}");
        }
        for byte in all.chars() {
            client.send(&byte.to_string()).await;
            tokio::task::yield_now().await;
        }
        assert!(client.until(">").await.ends_with(&format!("<POST / {body}>")));
    }
}

#[tokio::test]
async fn an_incomplete_or_invalid_body_is_an_error() {
    for begin in ["content-length: 10\r\n\r\n012", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut client = connect(OPTIONS, echo).await;
        client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\n{begin}")).await;
        client.tcp.shutdown().await.unwrap();
        let response = client.rest().await;
        assert!(response.ends_with("<POST / the request's body broke off>"), "{response}");
    }
    let mut client = connect(OPTIONS, echo).await;
    client.send("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").await;
    assert!(client.rest().await.ends_with("<POST / the request's body broke off>"));
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_only_if_the_body_is_read() {
    let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-Continue\r\ncontent-length: 3\r\n\r\n";
    let mut client = connect(OPTIONS, echo).await;
    client.send(head).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc").await;
    assert!(client.until(">").await.ends_with("<POST / abc>"));
    // The body comes without `100 Continue`.
    client.send(&format!("{head}abc")).await;
    assert!(client.until(">").await.starts_with("HTTP/1.1 200"));

    let mut client = connect(OPTIONS, ignore_body).await;
    client.send(head).await;
    let response = client.until(">").await;
    assert!(response.starts_with("HTTP/1.1 200") && response.contains("connection: close\r\n"), "{response}");
    drop(client.tcp);
    client.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unread_body_is_skipped_if_it_is_short() {
    let mut client = connect(OPTIONS, ignore_body).await;
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n").await;
    assert!(!client.until(">").await.contains("connection: close"));
    client.send(&"x".repeat(60_000)).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.until(">").await.starts_with("HTTP/1.1 200"));
    for head in ["content-length: 70000", "transfer-encoding: chunked", "content-length: 5\r\nconnection: close"] {
        let mut client = connect(OPTIONS, ignore_body).await;
        client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n")).await;
        let response = client.until(">").await;
        assert!(response.contains("connection: close\r\n"), "{response}");
        // The server reads on, so that the response is not lost.
        client.send(&"x".repeat(1_000)).await;
        client.tcp.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "");
        client.served.await.unwrap().unwrap();
    }
    let mut client = connect(OPTIONS, ignore_body).await;
    client.send("POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n").await;
    assert!(client.until(">").await.contains("connection: close\r\n"));
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(9_000));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(101));
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n");
    for (request, status) in [
        ("hello\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: x\r\nx y: z\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: x\r\n folded: z\r\n\r\n".into(), 400),
        ("GET /\u{1} HTTP/1.1\r\nhost: x\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".into(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        (long, 431),
        (many, 431),
        (post("content-length: x"), 400),
        (post("content-length: -1"), 400),
        (post("content-length: 1\r\ncontent-length: 2"), 400),
        (post("content-length: 99999999999999999999"), 400),
        (post("content-length: 1\r\ntransfer-encoding: chunked"), 400),
        (post("transfer-encoding: chunked\r\ncontent-length: 1"), 400),
        (post("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), 400),
        (post("transfer-encoding: chunked, gzip"), 400),
        (post("transfer-encoding: gzip, chunked"), 501),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into(), 400),
    ] {
        let mut client = connect(OPTIONS, |_| panic!("the service was called")).await;
        client.send(&request).await;
        client.tcp.shutdown().await.unwrap();
        let (found, text) = client.last_status().await;
        assert_eq!(found, status, "{}", &request[..request.len().min(80)]);
        // The refuser gets the method.
        let method = request.split([' ', '\r']).next().unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert!(body.starts_with(&format!("{method} ")) && text.contains("connection: close\r\n"), "{text}");
    }
    let long_target = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000));
    let mut client = connect(ConnectionOptions { head: 1 << 20, ..OPTIONS }, echo).await;
    client.send(&long_target).await;
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.last_status().await.0, 414);
}

#[tokio::test]
async fn responses_to_http_10_and_to_head_are_framed_for_them() {
    let streamed = |_| -> ServiceFuture {
        let pieces = stream::iter(["<a", "b", "", "c>"].map(Ok::<_, Infallible>));
        Box::pin(std::future::ready(Ok(Response::new(Body::from_stream(pieces)))))
    };
    let mut client = connect(OPTIONS, streamed).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let response = client.until("0\r\n\r\n").await;
    assert!(response.ends_with("\r\n\r\n2\r\n<a\r\n1\r\nb\r\n2\r\nc>\r\n0\r\n\r\n"), "{response}");
    client.send("HEAD / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let old = client.rest().await;
    assert!(old.contains("connection: close\r\n") && old.ends_with("\r\n\r\n<abc>"), "{old}");

    let mut client = connect(OPTIONS, echo).await;
    client.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await;
    assert!(client.until(">").await.contains("connection: keep-alive\r\n"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(client.rest().await.contains("connection: close\r\n"));
}

/// A service that responds with a stream of these pieces.
fn streaming(
    pieces: mpsc::UnboundedReceiver<Bytes>,
) -> impl FnMut(Request<RequestBody>) -> ServiceFuture + Unpin + Send + 'static {
    let mut pieces = Some(pieces);
    move |_| {
        let pieces = stream::unfold(pieces.take().unwrap(), async |mut pieces| {
            pieces.recv().await.map(|piece| (Ok::<_, Infallible>(piece), pieces))
        });
        Box::pin(std::future::ready(Ok(Response::new(Body::from_stream(pieces)))))
    }
}

#[tokio::test]
async fn each_piece_of_a_stream_is_sent_at_once_large_ones_too() {
    let (sender, pieces) = mpsc::unbounded_channel();
    let mut client = connect(OPTIONS, streaming(pieces)).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    for size in [1, 4_096, 4_097, 100_000, 3] {
        let piece = "x".repeat(size - 1) + ">";
        sender.send(Bytes::from(piece.clone())).unwrap();
        assert_eq!(client.until(">\r\n").await, format!("{size:x}\r\n{piece}\r\n"));
    }
    drop(sender);
    assert_eq!(client.until("\r\n\r\n").await, "0\r\n\r\n");
    assert!(client.served.try_recv().is_err());
}

/// Sends `request`, leaves when the response has begun, and waits until the response is dropped.
async fn leave_after_the_response_begins(request: &str) {
    let (sender, pieces) = mpsc::unbounded_channel();
    let mut client = connect(OPTIONS, streaming(pieces)).await;
    client.send(request).await;
    sender.send(Bytes::from_static(b"begun>")).unwrap();
    client.until(">").await;
    drop(client.tcp);
    sender.closed().await;
    assert!(client.served.await.unwrap().is_err());
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_response() {
    struct NotifyOnDrop(Option<oneshot::Sender<()>>);
    impl Drop for NotifyOnDrop {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    // Before the response begins, and after.
    let (sender, dropped) = oneshot::channel();
    let guard = Arc::new(Mutex::new(Some(NotifyOnDrop(Some(sender)))));
    let mut client = connect(OPTIONS, move |_| {
        let guard = guard.lock().unwrap().take();
        Box::pin(async move {
            let _guard = guard;
            std::future::pending().await
        })
    })
    .await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    drop(client.tcp);
    dropped.await.unwrap();

    leave_after_the_response_begins("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_leaves_is_detected_while_its_body_is_unread() {
    leave_after_the_response_begins("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_expects_100_continue_and_does_not_wait_keeps_its_connection() {
    let body = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut client = connect(OPTIONS, echo).await;
    client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{body}")).await;
    let response = client.until(">").await;
    assert!(response.ends_with("<POST / abc>") && !response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn finish_closes_the_connection_after_the_response_or_soon() {
    let (sender, pieces) = mpsc::unbounded_channel();
    let mut client = connect(OPTIONS, streaming(pieces)).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    client.finish.take().unwrap().send(()).unwrap();
    sender.send(Bytes::from_static(b"still>")).unwrap();
    client.until("still>").await;
    drop(sender);
    assert_eq!(client.rest().await, "\r\n0\r\n\r\n");

    let mut client = connect(OPTIONS, echo).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until(">").await;
    client.finish.take().unwrap().send(()).unwrap();
    assert_eq!(client.rest().await, "");

    // The connection does not wait for the rest of an unread body, nor for the rest of empty lines.
    for (service, text) in [
        (ignore_body as fn(Request<RequestBody>) -> ServiceFuture, "content-length: 60000\r\n\r\n"),
        (echo, "\r\n\r\n"),
    ] {
        let mut client = connect(OPTIONS, service).await;
        client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\n{text}")).await;
        client.until(">").await;
        client.finish.take().unwrap().send(()).unwrap();
        client.tcp.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "");
        client.served.await.unwrap().unwrap();
    }

    // A request is still served, the first or a further one: it may be in transit.
    for served in 0..2 {
        let mut client = connect(OPTIONS, echo).await;
        for _ in 0..served {
            client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            client.until(">").await;
        }
        client.finish.take().unwrap().send(()).unwrap();
        client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let response = client.rest().await;
        assert!(response.contains("connection: close\r\n") && response.ends_with("<GET / >"), "{response}");
    }
}

#[tokio::test]
async fn a_head_that_is_late_is_refused_and_an_idle_connection_is_closed() {
    let options = ConnectionOptions { first_head: Duration::from_millis(50), ..OPTIONS };
    for (begin, response) in [("", ""), ("GET / HTTP/1.1\r\nhost: x\r\n", "HTTP/1.1 408 Request Timeout\r\n")] {
        let mut client = connect(options, echo).await;
        client.send(begin).await;
        let rest = client.rest().await;
        assert!(rest.starts_with(response) && rest.is_empty() == response.is_empty(), "{begin:?}: {rest}");
        // What it sent stays unread: the connection lingers until the client closes.
        drop(client.tcp);
        client.served.await.unwrap().unwrap();
    }
    let options = ConnectionOptions { idle: Duration::from_millis(50), ..OPTIONS };
    let mut client = connect(options, echo).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until(">").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_response_that_is_shorter_than_its_content_length_closes_the_connection() {
    let mut client = connect(OPTIONS, |_| {
        let response = Response::builder().header("content-length", "10").body(Body::from("<short>"));
        Box::pin(std::future::ready(Ok(response.unwrap())))
    })
    .await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!client.rest().await.contains("HTTP/1.1 200 OK\r\n\r\n"));
    assert!(client.served.await.unwrap().is_err());
}
