//! The addresses of listeners as clients use them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

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
