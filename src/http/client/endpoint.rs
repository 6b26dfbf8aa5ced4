//! The peer of a client: host, port and, for `https`, its verification.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::tls::{self, TlsError};

/// The scheme, host and port of a URL, resolved as far as that needs no network.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// The connector and the name to verify; none for `http`.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    tls_config: Arc<ClientConfig>,
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
        Ok(Self { host, port, tls, tls_config })
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
