//! One socket that accepts connections.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::app::client_stream::AcceptedSocket;
use crate::app::error::AppError;
use crate::app::listener_address::ListenerAddress;
use crate::app::unix_path::UnixPath;
use crate::config::ListenConfig;
use crate::http::server::ServerTls;

/// Connections that may wait to be accepted (the kernel caps it at `net.core.somaxconn`). With the usual 128, part of a
/// burst of clients waits a second for the retransmission of its SYN.
const BACKLOG: u32 = 4_096;

/// A socket that accepts connections.
pub(in crate::app) struct Listener {
    socket: ListenerSocket,
    /// Its address.
    pub(in crate::app) address: ListenerAddress,
    /// The index of its entry in `listen` of the configuration.
    pub(super) entry: usize,
    /// How its connections begin.
    pub(in crate::app) protocol: Arc<ListenerProtocol>,
    /// Removes the file of a unix socket when the listener is dropped.
    _path: Option<UnixPath>,
}

/// What precedes HTTP on the connections of a listener.
pub(in crate::app) struct ListenerProtocol {
    /// Each connection begins with a header of the PROXY protocol.
    pub(in crate::app) proxy_protocol: bool,
    /// Then follows a TLS handshake; none: plain text.
    pub(in crate::app) tls: Option<ServerTls>,
}

enum ListenerSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// The next connection, and the address of its peer; none: it came through a unix socket.
    pub(in crate::app) async fn accept(&self) -> std::io::Result<(AcceptedSocket, Option<SocketAddr>)> {
        // Deregistered from this thread's poller: the connection belongs to a worker's runtime from here on.
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                Ok((AcceptedSocket::Tcp(tcp.into_std()?), Some(peer)))
            }
            ListenerSocket::Unix(listener) => {
                let (unix, _peer) = listener.accept().await?;
                Ok((AcceptedSocket::Unix(unix.into_std()?), None))
            }
        }
    }

    /// The same listener, which belongs to the entry of this index in `listen`.
    pub(super) fn of_entry(self, entry: usize) -> Self {
        Self { entry, ..self }
    }

    pub(super) fn tcp(listener: TcpListener, config: &ListenConfig) -> Result<Self, AppError> {
        let tls = config.tls.as_ref().map(ServerTls::new).transpose().map_err(AppError::ListenerTls)?;
        let address = listener.local_addr().map_err(|error| listen_error(config, error))?;
        Ok(Self {
            address: ListenerAddress::Tcp { address, tls: tls.is_some() },
            socket: ListenerSocket::Tcp(listener),
            entry: 0,
            protocol: Arc::new(ListenerProtocol { proxy_protocol: config.proxy_protocol, tls }),
            _path: None,
        })
    }

    pub(super) fn unix(listener: UnixListener, path: Option<UnixPath>, config: &ListenConfig) -> Self {
        let own = path.as_ref().map(|path| path.path().to_owned());
        let passed = || listener.local_addr().ok()?.as_pathname().map(PathBuf::from);
        Self {
            address: ListenerAddress::Unix(own.or_else(passed)),
            socket: ListenerSocket::Unix(listener),
            entry: 0,
            protocol: Arc::new(ListenerProtocol { proxy_protocol: config.proxy_protocol, tls: None }),
            _path: path,
        }
    }
}

pub(super) fn bind_tcp(address: SocketAddr, config: &ListenConfig) -> Result<Listener, AppError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Otherwise a restart fails while connections of the last process are in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    Listener::tcp(bind().map_err(|error| listen_error(config, error))?, config)
}

pub(super) fn bind_unix(path: &Path, config: &ListenConfig) -> Result<Listener, AppError> {
    let (listener, path) = UnixPath::bind(path, config.mode, config.owner.as_deref(), BACKLOG)
        .map_err(|error| AppError::Listen(config.address.to_string(), error))?;
    Ok(Listener::unix(listener, Some(path), config))
}

fn listen_error(config: &ListenConfig, error: std::io::Error) -> AppError {
    AppError::Listen(config.address.to_string(), error)
}
