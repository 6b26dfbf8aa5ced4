//! A TCP balancer: each connection goes to the next of several addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::bound_socket::ANY_PORT;

/// Longest wait for a connection to a server. A paused server is not noticed by it: the kernel accepts for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A running balancer. Dropping it closes its connections.
pub struct RoundRobin {
    pub address: SocketAddr,
    servers: watch::Sender<Vec<SocketAddr>>,
    accepting: JoinHandle<()>,
}

impl RoundRobin {
    /// Starts one in front of these servers.
    pub async fn start(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let servers = watch::Sender::new(servers);
        let accepting = tokio::spawn(accept(listener, servers.subscribe()));
        Self { address, servers, accepting }
    }

    /// Replaces the servers of later connections.
    pub fn set(&self, servers: Vec<SocketAddr>) {
        self.servers.send_replace(servers);
    }
}

impl Drop for RoundRobin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, servers: watch::Receiver<Vec<SocketAddr>>) {
    let turn = Arc::new(AtomicUsize::new(0));
    // Aborted when this task is.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(carry(client, servers.clone(), Arc::clone(&turn)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Connects to the next server that accepts, and copies both ways. Closes the client's connection if there is none.
async fn carry(mut client: TcpStream, servers: watch::Receiver<Vec<SocketAddr>>, turn: Arc<AtomicUsize>) {
    let servers = servers.borrow().clone();
    for _ in 0..servers.len() {
        let server = servers[turn.fetch_add(1, Ordering::Relaxed) % servers.len()];
        let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(server));
        let Ok(Ok(mut connection)) = connect.await else { continue };
        // Without a listener, the kernel may assign the target port to this socket, which then connects to itself.
        if connection.local_addr().is_ok_and(|own| own == server) {
            continue;
        }
        let _ = (client.set_nodelay(true), connection.set_nodelay(true));
        let _ = tokio::io::copy_bidirectional(&mut client, &mut connection).await;
        return;
    }
}
