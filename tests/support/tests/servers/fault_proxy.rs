//! The faults of the proxy, seen by a client of a server that repeats what it receives.

use std::time::{Duration, Instant};

use test_support::becomes;
use test_support::bound_socket::{ANY_PORT, bound_socket};
use test_support::fault_proxy::{Fault, FaultProxy, Side};
use test_support::soon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy in front of a server that repeats what it receives.
async fn proxy() -> FaultProxy {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    FaultProxy::start(address).await
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    soon("a connection", TcpStream::connect(proxy.address)).await.unwrap()
}

/// Sends `text` and reads it back.
async fn repeats(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    reads(stream, text).await;
}

async fn reads(stream: &mut TcpStream, text: &str) {
    let mut buffer = vec![0; text.len()];
    soon("what was sent", stream.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(buffer, text.as_bytes());
}

/// What arrives before the connection is reset.
async fn until_reset(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let error = soon("the reset", stream.read_to_end(&mut all)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    String::from_utf8(all).unwrap()
}

/// Whether bytes arrive within a time that is long for loopback. Used where none may arrive.
async fn arrives(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 100];
    tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut buffer)).await.is_ok()
}

#[tokio::test]
async fn without_a_fault_everything_passes_in_both_directions_to_the_end() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let long = "0123456789".repeat(10_000);
    let (mut from, mut to) = stream.split();
    let (sent, mut received) = (long.clone(), String::new());
    let send = async {
        to.write_all(sent.as_bytes()).await.unwrap();
        to.shutdown().await.unwrap();
    };
    soon("the echo", async { tokio::join!(send, async { from.read_to_string(&mut received).await.unwrap() }) }).await;
    assert!(received == long, "{} bytes", received.len());
    assert_eq!(proxy.accepted(), 1);
    becomes(&0, async || {
        tokio::task::yield_now().await;
        proxy.open()
    })
    .await;
}

#[tokio::test]
async fn refused_connections_find_no_listener_and_open_ones_go_on() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    repeats(&mut open, "one").await;
    for _ in 0..3 {
        proxy.set(Fault::Refuse).await;
        let refused = TcpStream::connect(proxy.address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        repeats(&mut open, "two").await;
        proxy.set(Fault::None).await;
        repeats(&mut connect(&proxy).await, "three").await;
    }
    assert_eq!(proxy.accepted(), 4);
}

#[tokio::test]
async fn a_reset_ends_open_connections_only() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    repeats(&mut open, "one").await;
    proxy.reset();
    assert_eq!(until_reset(&mut open).await, "");
    repeats(&mut connect(&proxy).await, "two").await;
}

#[tokio::test]
async fn a_stall_delays_everything_and_loses_nothing() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    repeats(&mut open, "one").await;
    for fault in [Fault::Stall, Fault::StallTo(Side::Server), Fault::StallTo(Side::Client)] {
        proxy.set(fault).await;
        let mut new = connect(&proxy).await;
        for stream in [&mut open, &mut new] {
            stream.write_all(b"two").await.unwrap();
            assert!(!arrives(stream).await, "{fault:?}");
        }
        proxy.set(Fault::None).await;
        reads(&mut open, "two").await;
        reads(&mut new, "two").await;
    }
}

#[tokio::test]
async fn a_delay_holds_each_piece_in_each_direction() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Delay(Duration::from_millis(50))).await;
    let began = Instant::now();
    repeats(&mut stream, "one").await;
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    repeats(&mut stream, "before").await;
    proxy.set(Fault::CutAfter(Side::Client, 5)).await;
    repeats(&mut stream, "123").await;
    stream.write_all(b"456").await.unwrap();
    // A reset may discard bytes that were sent just before.
    let received = until_reset(&mut stream).await;
    assert!("45".starts_with(&received), "{received}");
    let mut stream = connect(&proxy).await;
    repeats(&mut stream, "1234").await;
}

#[tokio::test]
async fn a_request_or_its_answer_is_lost_once() {
    let proxy = proxy().await;
    for fault in [Fault::LoseRequest(b"COMMIT"), Fault::LoseAnswer(b"COMMIT")] {
        let mut stream = connect(&proxy).await;
        proxy.set(fault).await;
        repeats(&mut stream, "BEGIN").await;
        assert_eq!(proxy.fault(), fault);
        stream.write_all(b"Q COMMIT;").await.unwrap();
        assert_eq!(until_reset(&mut stream).await, "");
        proxy.fault_is_over().await;
        repeats(&mut connect(&proxy).await, "COMMIT").await;
    }
}

#[tokio::test]
async fn later_connections_go_to_another_server_after_a_redirection() {
    let (first, second) = (proxy().await, proxy().await);
    let mut open = connect(&first).await;
    repeats(&mut open, "one").await;
    first.redirect(second.address);
    repeats(&mut open, "two").await;
    assert_eq!(second.accepted(), 0);
    repeats(&mut connect(&first).await, "three").await;
    assert_eq!(second.accepted(), 1);
    // Without a server, a connection is closed at once.
    let gone = bound_socket(ANY_PORT);
    first.redirect(gone.local_addr().unwrap());
    assert_eq!(soon("the end", connect(&first).await.read(&mut [0; 10])).await.unwrap(), 0);
}
