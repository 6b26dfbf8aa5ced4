//! The balancer between servers that answer with their number.

use std::net::SocketAddr;

use test_support::bound_socket::{ANY_PORT, bound_socket};
use test_support::round_robin::RoundRobin;
use test_support::soon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that sends its number and closes.
async fn server(number: u8) -> SocketAddr {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(&[number]).await;
        }
    });
    address
}

/// The bytes that a connection gets.
async fn ask(balancer: &RoundRobin) -> Vec<u8> {
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    let mut all = Vec::new();
    stream.shutdown().await.unwrap();
    soon("the answer", stream.read_to_end(&mut all)).await.unwrap();
    all
}

#[tokio::test]
async fn connections_go_to_each_server_in_turn_and_past_those_that_are_gone() {
    let gone = bound_socket(ANY_PORT);
    let [first, second, third] = [server(1).await, server(2).await, server(3).await];
    let balancer = RoundRobin::start(vec![first, second, third]).await;
    for expected in [1, 2, 3, 1, 2, 3] {
        assert_eq!(ask(&balancer).await, [expected]);
    }
    balancer.set(vec![first, gone.local_addr().unwrap()]);
    for _ in 0..4 {
        assert_eq!(ask(&balancer).await, [1]);
    }
    balancer.set(vec![gone.local_addr().unwrap()]);
    assert_eq!(ask(&balancer).await, b"");
}
