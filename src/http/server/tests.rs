//! Connections with real sockets.

mod client;
mod hostile;
mod leaving;
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

use self::client::{Answer, TERMS, connect};
use super::{ConnectionOptions, RequestBody};

/// Says what it was asked, body included.
fn echo(request: Request<RequestBody>) -> Answer {
    Box::pin(async move {
        let (head, body) = request.into_parts();
        let said = match body.collect().await {
            Ok(body) => String::from_utf8(body.to_bytes().to_vec()).unwrap(),
            Err(broken) => broken.to_string(),
        };
        let text = format!("<{} {} {said}>", head.method, head.uri);
        Ok(Response::new(Body::from(text)))
    })
}

/// Never looks at bodies.
fn deaf(request: Request<RequestBody>) -> Answer {
    let (head, _) = request.into_parts();
    let status = if head.uri == "/late" { StatusCode::REQUEST_TIMEOUT } else { StatusCode::OK };
    Box::pin(std::future::ready(Ok(Response::builder().status(status).body(Body::from("<deaf>")).unwrap())))
}

#[tokio::test]
async fn requests_follow_one_another_also_ahead_of_time() {
    let mut client = connect(TERMS, echo).await;
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
async fn each_request_has_its_own_target_whatever_the_one_before_it_had() {
    let long = format!("/{}", "x".repeat(1_000));
    let mut client = connect(TERMS, echo).await;
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
        let answer = client.until(">").await;
        assert!(answer.ends_with(&format!("<GET {read} >")), "{target}: {answer}");
    }
}

#[tokio::test]
async fn bodies_arrive_in_any_split() {
    let bodies = [
        ("content-length: 10\r\n\r\n0123456789", "0123456789"),
        ("transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n7;x=y\r\ndefghij\r\n0\r\nx: y\r\n\r\n", "abcdefghij"),
        ("content-length: 0\r\n\r\n", ""),
    ];
    for (request, body) in bodies {
        let all = format!("POST / HTTP/1.1\r\nhost: x\r\n{request}");
        let mut client = connect(TERMS, echo).await;
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
async fn a_body_that_breaks_off_is_told_of() {
    for begin in ["content-length: 10\r\n\r\n012", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut client = connect(TERMS, echo).await;
        client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\n{begin}")).await;
        client.tcp.shutdown().await.unwrap();
        let answer = client.rest().await;
        assert!(answer.ends_with("<POST / the request's body broke off>"), "{answer}");
    }
    let mut client = connect(TERMS, echo).await;
    client.send("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").await;
    assert!(client.rest().await.ends_with("<POST / the request's body broke off>"));
}

#[tokio::test]
async fn who_waits_for_a_word_gets_it_only_if_the_body_is_wanted() {
    let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-Continue\r\ncontent-length: 3\r\n\r\n";
    let mut client = connect(TERMS, echo).await;
    client.send(head).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc").await;
    assert!(client.until(">").await.ends_with("<POST / abc>"));
    // It came without being asked for.
    client.send(&format!("{head}abc")).await;
    assert!(client.until(">").await.starts_with("HTTP/1.1 200"));

    let mut client = connect(TERMS, deaf).await;
    client.send(head).await;
    let answer = client.until(">").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close\r\n"), "{answer}");
    drop(client.tcp);
    client.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_nobody_wanted_is_passed_over_if_it_is_short() {
    let mut client = connect(TERMS, deaf).await;
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n").await;
    assert!(!client.until(">").await.contains("connection: close"));
    client.send(&"x".repeat(60_000)).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.until(">").await.starts_with("HTTP/1.1 200"));
    for head in ["content-length: 70000", "transfer-encoding: chunked", "content-length: 5\r\nconnection: close"] {
        let mut client = connect(TERMS, deaf).await;
        client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n")).await;
        let answer = client.until(">").await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        // It reads on, so that the answer is not lost.
        client.send(&"x".repeat(1_000)).await;
        client.tcp.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "");
        client.served.await.unwrap().unwrap();
    }
    let mut client = connect(TERMS, deaf).await;
    client.send("POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n").await;
    assert!(client.until(">").await.contains("connection: close\r\n"));
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
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
        let mut client = connect(TERMS, |_| panic!("nobody was asked")).await;
        client.send(&request).await;
        client.tcp.shutdown().await.unwrap();
        let (found, text) = client.last_status().await;
        assert_eq!(found, status, "{}", &request[..request.len().min(80)]);
        // What the refuser was told.
        let method = request.split([' ', '\r']).next().unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert!(body.starts_with(&format!("{method} ")) && text.contains("connection: close\r\n"), "{text}");
    }
    let far = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000));
    let mut client = connect(ConnectionOptions { head: 1 << 20, ..TERMS }, echo).await;
    client.send(&far).await;
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.last_status().await.0, 414);
}

#[tokio::test]
async fn old_clients_and_those_who_want_only_the_head_get_what_they_can_read() {
    let streamed = |_| -> Answer {
        let pieces = stream::iter(["<a", "b", "", "c>"].map(Ok::<_, Infallible>));
        Box::pin(std::future::ready(Ok(Response::new(Body::from_stream(pieces)))))
    };
    let mut client = connect(TERMS, streamed).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = client.until("0\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\n2\r\n<a\r\n1\r\nb\r\n2\r\nc>\r\n0\r\n\r\n"), "{answer}");
    client.send("HEAD / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let old = client.rest().await;
    assert!(old.contains("connection: close\r\n") && old.ends_with("\r\n\r\n<abc>"), "{old}");

    let mut client = connect(TERMS, echo).await;
    client.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await;
    assert!(client.until(">").await.contains("connection: keep-alive\r\n"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(client.rest().await.contains("connection: close\r\n"));
}

/// Answers with a stream of what comes through this.
fn through(
    pieces: mpsc::UnboundedReceiver<Bytes>,
) -> impl FnMut(Request<RequestBody>) -> Answer + Unpin + Send + 'static {
    let mut pieces = Some(pieces);
    move |_| {
        let pieces = stream::unfold(pieces.take().unwrap(), async |mut pieces| {
            pieces.recv().await.map(|piece| (Ok::<_, Infallible>(piece), pieces))
        });
        Box::pin(std::future::ready(Ok(Response::new(Body::from_stream(pieces)))))
    }
}

#[tokio::test]
async fn pieces_go_out_as_they_come_large_ones_too() {
    let (give, pieces) = mpsc::unbounded_channel();
    let mut client = connect(TERMS, through(pieces)).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    for size in [1, 4_096, 4_097, 100_000, 3] {
        let piece = "x".repeat(size - 1) + ">";
        give.send(Bytes::from(piece.clone())).unwrap();
        assert_eq!(client.until(">\r\n").await, format!("{size:x}\r\n{piece}\r\n"));
    }
    drop(give);
    assert_eq!(client.until("\r\n\r\n").await, "0\r\n\r\n");
    assert!(client.served.try_recv().is_err());
}

/// Sends `request`, leaves when the answer has begun, and waits until it is gone.
async fn leaves_behind_the_head(request: &str) {
    let (give, pieces) = mpsc::unbounded_channel();
    let mut client = connect(TERMS, through(pieces)).await;
    client.send(request).await;
    give.send(Bytes::from_static(b"begun>")).unwrap();
    client.until(">").await;
    drop(client.tcp);
    give.closed().await;
    assert!(client.served.await.unwrap().is_err());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_answer_along() {
    struct Told(Option<oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    // Before there is a head, and behind it.
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(Told(Some(tell)))));
    let mut client = connect(TERMS, move |_| {
        let told = tell.lock().unwrap().take();
        Box::pin(async move {
            let _told = told;
            std::future::pending().await
        })
    })
    .await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    drop(client.tcp);
    told.await.unwrap();

    leaves_behind_the_head("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_although_its_body_is_not_read() {
    leaves_behind_the_head("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n").await;
}

#[tokio::test]
async fn who_waits_for_a_word_and_sends_all_the_same_may_go_on() {
    let body = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut client = connect(TERMS, echo).await;
    client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{body}")).await;
    let answer = client.until(">").await;
    assert!(answer.ends_with("<POST / abc>") && !answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn it_is_finished_behind_the_answer_or_at_once() {
    let (give, pieces) = mpsc::unbounded_channel();
    let mut client = connect(TERMS, through(pieces)).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    client.finish.take().unwrap().send(()).unwrap();
    give.send(Bytes::from_static(b"still>")).unwrap();
    client.until("still>").await;
    drop(give);
    assert_eq!(client.rest().await, "\r\n0\r\n\r\n");

    let mut client = connect(TERMS, echo).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until(">").await;
    client.finish.take().unwrap().send(()).unwrap();
    assert_eq!(client.rest().await, "");

    // What is left of a body that nobody wanted is not waited for, nor is what is no request.
    for (service, text) in
        [(deaf as fn(Request<RequestBody>) -> Answer, "content-length: 60000\r\n\r\n"), (echo, "\r\n\r\n")]
    {
        let mut client = connect(TERMS, service).await;
        client.send(&format!("POST / HTTP/1.1\r\nhost: x\r\n{text}")).await;
        client.until(">").await;
        client.finish.take().unwrap().send(()).unwrap();
        client.tcp.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "");
        client.served.await.unwrap().unwrap();
    }

    // One that has not asked yet may: its request is perhaps on its way.
    let mut client = connect(TERMS, echo).await;
    client.finish.take().unwrap().send(()).unwrap();
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("<GET / >"), "{answer}");
}

#[tokio::test]
async fn who_is_late_is_cut() {
    let terms = ConnectionOptions { first_head: Duration::from_millis(50), ..TERMS };
    for (begin, response) in [("", ""), ("GET / HTTP/1.1\r\nhost: x\r\n", "HTTP/1.1 408 Request Timeout\r\n")] {
        let mut client = connect(terms, echo).await;
        client.send(begin).await;
        let rest = client.rest().await;
        assert!(rest.starts_with(response) && rest.is_empty() == response.is_empty(), "{begin:?}: {rest}");
        client.served.await.unwrap().unwrap();
    }
    let terms = ConnectionOptions { idle: Duration::from_millis(50), ..TERMS };
    let mut client = connect(terms, echo).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.until(">").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_answer_that_breaks_its_promise_closes_the_connection() {
    let mut client = connect(TERMS, |_| {
        let response = Response::builder().header("content-length", "10").body(Body::from("<short>"));
        Box::pin(std::future::ready(Ok(response.unwrap())))
    })
    .await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!client.rest().await.contains("HTTP/1.1 200 OK\r\n\r\n"));
    assert!(client.served.await.unwrap().is_err());
}
