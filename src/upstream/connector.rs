//! A new connection: name, TCP, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use super::connection::Link;
use super::failure::{Deadline, Failure};
use super::socket::Socket;
use super::stream::Stream;
use super::tls::TlsError;

/// How long the next address of a name waits for the one before it (RFC 8305 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// Where to connect to.
pub(super) struct Dialer {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) connect: Option<Duration>,
}

impl Dialer {
    /// Connects within the connect deadline.
    pub(super) async fn dial(&self) -> Result<Box<Link>, Failure> {
        let stream = match self.connect {
            Some(limit) => tokio::time::timeout(limit, self.stream())
                .await
                .map_err(|_elapsed| Failure::Timeout(Deadline::Connect))?,
            None => self.stream().await,
        };
        stream.map(Link::new).map_err(Failure::Unreachable)
    }

    async fn stream(&self) -> io::Result<Stream> {
        let tcp = first_to_connect(self.addresses().await?).await?;
        // Without it a short answer waits 40 ms for the peer's delayed acknowledgement.
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Plain(Socket::plain(tcp))),
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), Socket::tls(tcp)).await?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(match &self.host {
            Host::Ipv4(ip) => vec![SocketAddr::from((*ip, self.port))],
            Host::Ipv6(ip) => vec![SocketAddr::from((*ip, self.port))],
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), self.port)).await?.collect(),
        })
    }
}

/// The first address that answers. The next is tried when the one before it has failed, or has had its head start
/// (RFC 8305, section 5).
async fn first_to_connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut attempts = FuturesUnordered::new();
    for address in addresses {
        attempts.push(TcpStream::connect(address));
        match tokio::time::timeout(HEAD_START, attempts.next()).await {
            Ok(Some(Ok(tcp))) => return Ok(tcp),
            Ok(Some(Err(error))) => failure = error,
            Ok(None) | Err(_) => {}
        }
    }
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The connector and the name to verify.
pub(super) fn tls(
    config: &Arc<rustls::ClientConfig>,
    host: &Host<String>,
) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let name = match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?,
        Host::Ipv4(ip) => ServerName::from(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => ServerName::from(IpAddr::V6(*ip)),
    };
    Ok((TlsConnector::from(Arc::clone(config)), name))
}
