//! Why the server could not start.

use std::fmt;
use std::net::SocketAddr;

use super::listener_address::ListenerAddress;
use crate::auth::keyring::FirstKeyError;
use crate::http::client::TlsError;
use crate::http::server::ServerTlsError;
use crate::shared::redis::OpenError;
use crate::store::StoreError;

/// Why the server could not start. The text names the setting to change.
#[derive(Debug)]
pub enum AppError {
    /// An address of `listen` can't be bound.
    Listen(String, std::io::Error),
    /// The certificate of a listener can't be used.
    ListenerTls(ServerTlsError),
    /// `auth: none` with a socket from systemd that other machines can connect to.
    OpenToAll(ListenerAddress),
    /// `metrics.listen` can't be bound.
    MetricsListen(SocketAddr, std::io::Error),
    /// The database at this address can't be used.
    Store(String, StoreError),
    /// Redis can't be used.
    Redis(OpenError),
    /// The first key could not be made.
    FirstKey(FirstKeyError),
    /// An upstream's TLS settings can't be used.
    Tls(TlsError),
    /// The operating system refused the worker threads.
    Threads(std::io::Error),
    /// The HTTP client for side requests (lists of models) can't be built.
    Http(String),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                write!(f, "listen: {address}: {error}; choose another address with --listen or PETSTREAM_LISTEN")
            }
            Self::ListenerTls(error) => error.fmt(f),
            Self::OpenToAll(address) => write!(
                f,
                "auth: none lets everybody in and is refused on {address}, which systemd has passed; let the .socket \
                 unit listen on a loopback address, or set auth: keys"
            ),
            Self::MetricsListen(address, error) => {
                write!(f, "metrics.listen: {address}: {error}; choose another address")
            }
            // These texts contain the address.
            Self::Store(_, error @ (StoreError::Open(..) | StoreError::Folder(_) | StoreError::Url(_))) => error.fmt(f),
            Self::Store(address, error) => {
                write!(f, "{error}, in {address}; `petstream restore` puts a backup in its place")
            }
            Self::Redis(error) => error.fmt(f),
            Self::FirstKey(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Threads(error) => write!(f, "threads: {error}; raise the limit of processes or files, or set fewer"),
            Self::Http(error) => write!(f, "the HTTP client can't be built: {error}"),
        }
    }
}

impl std::error::Error for AppError {}
