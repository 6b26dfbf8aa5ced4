//! The peer of a client: its address and, for `https`, its verification.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::tls::{self, TlsError};

/// The address of a server, resolved as far as that needs no network.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) address: Address,
    /// The connector and the name to verify; none for `http`.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    tls_config: Arc<ClientConfig>,
}

/// Where a server listens.
#[derive(Clone)]
pub(super) enum Address {
    /// A host and a port.
    Tcp(Host<String>, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// The endpoint of an `http` or `https` URL. For `https`, the authorities in `ca_file` are trusted, else the
    /// system's (`SSL_CERT_FILE` is honoured), else Mozilla's.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities can't be read, or the host can't be the name in a certificate.
    pub fn new(url: &Url, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let host = url.host().map_or_else(|| Host::Domain(String::new()), |host| host.to_owned());
        let port = url.port_or_known_default().unwrap_or(80);
        let is_secure = url.scheme() == "https";
        let tls_config = if is_secure { tls::client_config(ca_file)? } else { tls::without_roots()? };
        let tls =
            if is_secure { Some((TlsConnector::from(Arc::clone(&tls_config)), server_name(&host)?)) } else { None };
        Ok(Self { address: Address::Tcp(host, port), tls, tls_config })
    }

    /// The endpoint of a unix socket, without TLS.
    ///
    /// # Errors
    /// As [`Endpoint::new`] for `http`.
    pub fn unix(socket: &Path) -> Result<Self, TlsError> {
        Ok(Self { address: Address::Unix(socket.to_path_buf()), tls: None, tls_config: tls::without_roots()? })
    }

    /// The path of the unix socket, if it is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match &self.address {
            Address::Tcp(..) => None,
            Address::Unix(socket) => Some(socket),
        }
    }

    /// The TLS configuration, for other clients of the same endpoint. For `http` it trusts no certificate.
    #[must_use]
    pub const fn tls_config(&self) -> &Arc<ClientConfig> {
        &self.tls_config
    }
}

/// The name that the peer's certificate must have.
fn server_name(host: &Host<String>) -> Result<ServerName<'static>, TlsError> {
    Ok(match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?,
        Host::Ipv4(ip) => ServerName::from(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => ServerName::from(IpAddr::V6(*ip)),
    })
}
