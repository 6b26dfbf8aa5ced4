//! Connections with real sockets at both ends.

use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::upstream::pool::Pool;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn request() -> Request {
    Request { begin: BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..]), rest: Bytes::new(), more: Vec::new() }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    theirs.set_nodelay(true).unwrap();
    (ours, theirs)
}

async fn plain() -> (Box<Link>, TcpStream) {
    let (ours, theirs) = pair().await;
    (Link::new(Stream::Plain(Socket::plain(ours))), theirs)
}

async fn encrypted() -> (Box<Link>, TlsStream<TcpStream>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let server = builder.unwrap().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    let (ours, theirs) = pair().await;
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").unwrap();
    let (ours, theirs) = tokio::join!(connector.connect(name, Socket::tls(ours)), acceptor.accept(theirs));
    let mut theirs = theirs.unwrap();
    theirs.flush().await.unwrap();
    (Link::new(Stream::Tls(Box::new(ours.unwrap()))), theirs)
}

/// Until the kernel has something for the reader.
async fn arrived(link: &Link) {
    let socket = match &link.stream {
        Stream::Plain(socket) => socket,
        Stream::Tls(tls) => tls.get_ref().0,
    };
    while socket.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Polls once with nothing left of the task's budget.
async fn poll_spent<F: Future>(work: F) -> Poll<F::Output> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        while let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
            turn.made_progress();
        }
        Poll::Ready(work.as_mut().poll(cx))
    })
    .await
}

#[tokio::test]
async fn what_came_before_the_request_is_not_its_answer_however_little_of_the_budget_is_left() {
    let (mut link, mut upstream) = plain().await;
    upstream.write_all(ANSWER).await.unwrap();
    arrived(&link).await;
    let sent = poll_spent(link.send(request())).await;
    assert!(matches!(sent, Poll::Ready(Err(Unanswered { unsent: true, .. }))));
    drop(link);
    let mut asked = Vec::new();
    // It was closed with bytes unread: the end may be a reset.
    let _ = upstream.read_to_end(&mut asked).await;
    assert_eq!(asked, b"");
}

#[tokio::test]
async fn a_request_is_written_although_nothing_is_left_of_the_budget() {
    let (mut link, mut upstream) = plain().await;
    assert!(poll_spent(link.send(request())).await.is_pending());
    let mut asked = [0; 18];
    upstream.read_exact(&mut asked).await.unwrap();
    assert_eq!(asked, *b"GET / HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn a_connection_is_not_kept_when_something_has_arrived_or_it_is_closed_even_without_a_budget() {
    for close in [true, false] {
        let (mut link, mut upstream) = plain().await;
        assert!(link.is_usable());
        if close {
            upstream.shutdown().await.unwrap();
        } else {
            upstream.write_all(b"\r\n").await.unwrap();
        }
        arrived(&link).await;
        assert_eq!(poll_spent(async { link.is_usable() }).await, Poll::Ready(false));
    }
}

#[test]
fn a_connection_that_moves_to_another_runtime_takes_along_what_it_has_received() {
    use std::io::{Read, Write};
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    for poisoned in [true, false] {
        let pool = Pool::default();
        let mut upstream = first.block_on(async {
            let (link, upstream) = plain().await;
            pool.put(link);
            upstream.into_std().unwrap()
        });
        upstream.set_nonblocking(false).unwrap();
        if poisoned {
            upstream.write_all(ANSWER).unwrap();
        }
        let mut link = second.block_on(async { pool.take().unwrap() });
        if poisoned {
            second.block_on(arrived(&link));
            assert!(second.block_on(link.send(request())).is_err_and(|unanswered| unanswered.unsent));
            continue;
        }
        let answering = std::thread::spawn(move || {
            upstream.read_exact(&mut [0; 18]).unwrap();
            upstream.write_all(ANSWER).unwrap();
        });
        let answer = second.block_on(link.send(request())).map_err(|unanswered| unanswered.failure);
        assert_eq!(answer.unwrap().status, http::StatusCode::OK);
        answering.join().unwrap();
    }
}

#[tokio::test]
async fn session_tickets_are_no_reason_to_give_a_connection_up_and_all_else_is() {
    let (mut link, _upstream) = encrypted().await;
    // Those of TLS 1.3 come behind the handshake.
    arrived(&link).await;
    assert!(link.is_usable() && link.is_usable());

    for unasked in ["data", "part of a record", "farewell", "end"] {
        let (mut link, mut upstream) = encrypted().await;
        let (answered, ()) = tokio::join!(link.send(request()), async {
            upstream.read_exact(&mut [0; 18]).await.unwrap();
            upstream.write_all(ANSWER).await.unwrap();
            upstream.flush().await.unwrap();
        });
        assert!(answered.is_ok() && link.is_usable());
        match unasked {
            "data" => {
                upstream.write_all(ANSWER).await.unwrap();
                upstream.flush().await.unwrap();
            }
            "part of a record" => upstream.get_mut().0.write_all(&[23, 3, 3, 0, 50, 1, 2, 3]).await.unwrap(),
            "farewell" => upstream.shutdown().await.unwrap(),
            _ => upstream.get_mut().0.shutdown().await.unwrap(),
        }
        arrived(&link).await;
        assert_eq!(poll_spent(async { link.is_usable() }).await, Poll::Ready(false), "{unasked}");
        assert!(link.send(request()).await.is_err_and(|unanswered| unanswered.unsent), "{unasked}");
    }
}

#[tokio::test]
async fn a_sweep_closes_what_is_closed_or_has_received_something_and_keeps_the_rest_in_its_order() {
    let pool = Pool::default();
    let mut upstreams = Vec::new();
    for number in 0..40 {
        let (link, mut upstream) = plain().await;
        pool.put(link);
        if number % 2 == 1 {
            upstream.write_all(b"late").await.unwrap();
        }
        upstreams.push(upstream);
    }
    assert_eq!(pool.len(), 40);
    let all_arrived = async {
        while pool.len() > 20 {
            pool.sweep().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), all_arrived).await.unwrap();
    let ports = |taken: Option<Box<Link>>| {
        let Stream::Plain(socket) = taken.unwrap().stream else { unreachable!() };
        socket.tcp().local_addr().unwrap()
    };
    let expected: Vec<_> = upstreams.iter().step_by(2).rev().map(|upstream| upstream.peer_addr().unwrap()).collect();
    let found: Vec<_> = (0..20).map(|_| ports(pool.take())).collect();
    assert_eq!(found, expected);
    assert!(pool.take().is_none());
}
