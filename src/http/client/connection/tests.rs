//! Connections with real sockets at both ends.

use std::sync::Arc;
use std::task::Poll;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::http::client::pool::Pool;
use crate::http::client::socket::Socket;
use crate::http::client::transport::Transport;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn request() -> Request {
    Request::new(|head| head.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n"))
}

/// The tests need nothing of a head but its status.
const fn no_headers(_: StatusCode, _: &[Header<'_>]) {}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    theirs.set_nodelay(true).unwrap();
    (ours, theirs)
}

async fn plain() -> (Box<Connection>, TcpStream) {
    let (ours, theirs) = pair().await;
    (Connection::new(Stream::Plain(Socket::plain(Transport::Tcp(ours)))), theirs)
}

async fn encrypted() -> (Box<Connection>, TlsStream<TcpStream>) {
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
    let (ours, theirs) =
        tokio::join!(connector.connect(name, Socket::tls(Transport::Tcp(ours))), acceptor.accept(theirs));
    let mut theirs = theirs.unwrap();
    theirs.flush().await.unwrap();
    (Connection::new(Stream::Tls(Box::new(ours.unwrap()))), theirs)
}

/// Until the kernel has something for the reader.
async fn arrived(connection: &Connection) {
    let socket = match &connection.stream {
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
    let (mut connection, mut server) = plain().await;
    server.write_all(RESPONSE).await.unwrap();
    arrived(&connection).await;
    let sent = poll_spent(connection.send(request(), &no_headers)).await;
    assert!(matches!(sent, Poll::Ready(Err(SendError { unsent: true, .. }))));
    drop(connection);
    let mut received = Vec::new();
    // It was closed with bytes unread: the end may be a reset.
    let _ = server.read_to_end(&mut received).await;
    assert_eq!(received, b"");
}

#[tokio::test]
async fn a_request_is_written_although_nothing_is_left_of_the_budget() {
    let (mut connection, mut server) = plain().await;
    assert!(poll_spent(connection.send(request(), &no_headers)).await.is_pending());
    let mut received = [0; 18];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(received, *b"GET / HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn a_connection_is_not_kept_when_something_has_arrived_or_it_is_closed_even_without_a_budget() {
    for close in [true, false] {
        let (mut connection, mut server) = plain().await;
        assert!(connection.is_usable());
        if close {
            server.shutdown().await.unwrap();
        } else {
            server.write_all(b"\r\n").await.unwrap();
        }
        arrived(&connection).await;
        assert_eq!(poll_spent(async { connection.is_usable() }).await, Poll::Ready(false));
    }
}

#[test]
fn a_connection_that_moves_to_another_runtime_keeps_its_received_data() {
    use std::io::{Read, Write};
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    for poisoned in [true, false] {
        let pool = Pool::default();
        let mut server = first.block_on(async {
            let (connection, server) = plain().await;
            pool.put(connection);
            server.into_std().unwrap()
        });
        server.set_nonblocking(false).unwrap();
        if poisoned {
            server.write_all(RESPONSE).unwrap();
        }
        let mut connection = second.block_on(async { pool.take(Instant::now()).unwrap() });
        if poisoned {
            second.block_on(arrived(&connection));
            assert!(second.block_on(connection.send(request(), &no_headers)).is_err_and(|failed| failed.unsent));
            continue;
        }
        let answering = std::thread::spawn(move || {
            server.read_exact(&mut [0; 18]).unwrap();
            server.write_all(RESPONSE).unwrap();
        });
        let answer = second.block_on(connection.send(request(), &no_headers)).map_err(|failed| failed.error);
        assert_eq!(answer.unwrap().status, http::StatusCode::OK);
        answering.join().unwrap();
    }
}

#[tokio::test]
async fn session_tickets_are_no_reason_to_give_a_connection_up_and_all_else_is() {
    let (mut connection, _server) = encrypted().await;
    // Those of TLS 1.3 come behind the handshake.
    arrived(&connection).await;
    assert!(connection.is_usable() && connection.is_usable());

    for unreceived in ["data", "part of a record", "farewell", "end"] {
        let (mut connection, mut server) = encrypted().await;
        let (answered, ()) = tokio::join!(connection.send(request(), &no_headers), async {
            server.read_exact(&mut [0; 18]).await.unwrap();
            server.write_all(RESPONSE).await.unwrap();
            server.flush().await.unwrap();
        });
        assert!(answered.is_ok() && connection.is_usable());
        match unreceived {
            "data" => {
                server.write_all(RESPONSE).await.unwrap();
                server.flush().await.unwrap();
            }
            "part of a record" => server.get_mut().0.write_all(&[23, 3, 3, 0, 50, 1, 2, 3]).await.unwrap(),
            "farewell" => server.shutdown().await.unwrap(),
            _ => server.get_mut().0.shutdown().await.unwrap(),
        }
        arrived(&connection).await;
        assert_eq!(poll_spent(async { connection.is_usable() }).await, Poll::Ready(false), "{unreceived}");
        assert!(connection.send(request(), &no_headers).await.is_err_and(|failed| failed.unsent), "{unreceived}");
    }
}

#[tokio::test]
async fn a_sweep_drops_closed_connections_and_those_with_data_and_keeps_the_order_of_others() {
    let pool = Pool::default();
    let mut servers = Vec::new();
    for number in 0..40 {
        let (connection, mut server) = plain().await;
        pool.put(connection);
        if number % 2 == 1 {
            server.write_all(b"late").await.unwrap();
        }
        servers.push(server);
    }
    assert_eq!(pool.len(), 40);
    let all_arrived = async {
        while pool.len() > 20 {
            pool.sweep().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), all_arrived).await.unwrap();
    let ports = |taken: Option<Box<Connection>>| {
        let Stream::Plain(socket) = taken.unwrap().stream else { unreachable!() };
        match socket.transport() {
            Transport::Tcp(tcp) => tcp.local_addr().unwrap(),
            Transport::Unix(_) => panic!("a TCP socket"),
        }
    };
    let expected: Vec<_> = servers.iter().step_by(2).rev().map(|server| server.peer_addr().unwrap()).collect();
    let found: Vec<_> = (0..20).map(|_| ports(pool.take(Instant::now()))).collect();
    assert_eq!(found, expected);
    assert!(pool.take(Instant::now()).is_none());
}
