//! A socket that is bound and does not listen.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// Any free port.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket bound to `address`. Connections to it are refused until it, or another one that is bound to the same address
/// with this function, listens. As long as it exists the system gives the port to no one else: a listener that is only
/// closed leaves it to the next test that asks for any port.
pub fn bound_socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}
