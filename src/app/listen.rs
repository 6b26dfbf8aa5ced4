//! The sockets that accept connections: bound by the server, or passed to it by systemd.

mod inherited;
mod proxy_protocol;
mod unix_path;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::AppError;
use super::client_stream::AcceptedSocket;
use crate::config::{Auth, Config, ListenAddress, ListenConfig};
use crate::http::server::ServerTls;
use unix_path::UnixPath;

pub use inherited::InheritedSockets;
pub(super) use proxy_protocol::read_header;

/// Connections that may wait to be accepted (the kernel caps it at `net.core.somaxconn`). With the usual 128, part of a
/// burst of clients waits a second for the retransmission of its SYN.
const BACKLOG: u32 = 4_096;

/// The address of a listener, as clients use it. Displayed as a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerAddress {
    /// A TCP port; with port 0 in the configuration, the one that was assigned.
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Whether the listener speaks TLS.
        tls: bool,
    },
    /// A unix socket; none: one without a name, or in the abstract namespace, from systemd.
    Unix(Option<PathBuf>),
}

impl ListenerAddress {
    /// The address of a TCP listener.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { address, .. } => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for ListenerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, tls: false } => write!(f, "http://{address}"),
            Self::Tcp { address, tls: true } => write!(f, "https://{address}"),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix: without a path"),
        }
    }
}

/// A socket that accepts connections.
pub(super) struct Listener {
    socket: ListenerSocket,
    /// Its address.
    pub(super) address: ListenerAddress,
    /// The index of its entry in `listen` of the configuration.
    entry: usize,
    /// How its connections begin.
    pub(super) protocol: Arc<ListenerProtocol>,
    /// Removes the file of a unix socket when the listener is dropped.
    _path: Option<UnixPath>,
}

/// What precedes HTTP on the connections of a listener.
pub(super) struct ListenerProtocol {
    /// Each connection begins with a header of the PROXY protocol.
    pub(super) proxy_protocol: bool,
    /// Then follows a TLS handshake; none: plain text.
    pub(super) tls: Option<ServerTls>,
}

enum ListenerSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// The next connection, and the address of its peer; none: it came through a unix socket.
    pub(super) async fn accept(&self) -> std::io::Result<(AcceptedSocket, Option<SocketAddr>)> {
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

    fn tcp(listener: TcpListener, config: &ListenConfig) -> Result<Self, AppError> {
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

    fn unix(listener: UnixListener, path: Option<UnixPath>, config: &ListenConfig) -> Self {
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

/// The certificate of a listener.
pub(super) struct ListenerTls {
    /// The index of the listener's entry in `listen` of the configuration.
    pub(super) entry: usize,
    pub(super) tls: ServerTls,
}

/// The sockets of a server.
pub(super) struct Listeners {
    pub(super) main: Vec<Listener>,
    /// `metrics.listen`, if it is set.
    pub(super) metrics: Option<Listener>,
}

impl Listeners {
    /// Binds every listener of the configuration; where that does not say, the sockets from systemd take the place of
    /// the default.
    pub(super) fn bind(config: &Config, mut inherited: InheritedSockets) -> Result<Self, AppError> {
        let use_passed = config.listen_is_default && !inherited.is_empty();
        let mut main = Vec::new();
        for (entry, listener) in config.listen.iter().enumerate() {
            let bound = match &listener.address {
                _ if use_passed => inherited.take(None, listener)?,
                ListenAddress::Tcp(address) => vec![bind_tcp(*address, listener)?],
                ListenAddress::Unix(path) => vec![bind_unix(path, listener)?],
                ListenAddress::Systemd(name) => inherited.take(name.as_deref(), listener)?,
            };
            main.extend(bound.into_iter().map(|listener| Listener { entry, ..listener }));
        }
        inherited.warn_of_unused();
        if config.auth == Auth::None
            && let Some(public) = main.iter().find(|listener| !is_local(&listener.address))
        {
            return Err(AppError::OpenToAll(public.address.clone()));
        }
        let metrics = config.metrics_listen.map(|address| {
            let plain = ListenConfig::new(ListenAddress::Tcp(address));
            bind_tcp(address, &plain).map_err(|error| match error {
                AppError::Listen(_, error) => AppError::MetricsListen(address, error),
                other => other,
            })
        });
        Ok(Self { main, metrics: metrics.transpose()? })
    }

    /// The certificates of the listeners that speak TLS.
    pub(super) fn tls(&self) -> Vec<ListenerTls> {
        let tls =
            |listener: &Listener| Some(ListenerTls { entry: listener.entry, tls: listener.protocol.tls.clone()? });
        self.main.iter().filter_map(tls).collect()
    }
}

fn is_local(address: &ListenerAddress) -> bool {
    address.tcp().map(|address| address.ip().to_canonical()).is_none_or(|ip: IpAddr| ip.is_loopback())
}

fn bind_tcp(address: SocketAddr, config: &ListenConfig) -> Result<Listener, AppError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Otherwise a restart fails while connections of the last process are in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    Listener::tcp(bind().map_err(|error| listen_error(config, error))?, config)
}

fn bind_unix(path: &std::path::Path, config: &ListenConfig) -> Result<Listener, AppError> {
    let (listener, path) = UnixPath::bind(path, config.mode, config.owner.as_deref())
        .map_err(|error| AppError::Listen(config.address.to_string(), error))?;
    Ok(Listener::unix(listener, Some(path), config))
}

fn listen_error(config: &ListenConfig, error: std::io::Error) -> AppError {
    AppError::Listen(config.address.to_string(), error)
}
