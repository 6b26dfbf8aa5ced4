//! Makes new connections: name resolution, TCP, TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use url::Host;

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::Error;
use super::socket::Socket;
use super::stream::Stream;

/// How long the next address of a name waits for the one before it (RFC 8305 recommends 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

pub(super) struct Connector {
    pub(super) endpoint: Endpoint,
    /// For name resolution, TCP and TLS together; none: no limit.
    pub(super) timeout: Option<Duration>,
}

impl Connector {
    pub(super) async fn connect(&self) -> Result<Box<Connection>, Error> {
        let stream = match self.timeout {
            Some(limit) => {
                tokio::time::timeout(limit, self.stream()).await.map_err(|_elapsed| Error::ConnectTimeout)?
            }
            None => self.stream().await,
        };
        stream.map(Connection::new).map_err(Error::Connect)
    }

    async fn stream(&self) -> io::Result<Stream> {
        let tcp = first_to_connect(self.addresses().await?).await?;
        // Otherwise a short request waits up to 40 ms for the peer's delayed acknowledgement.
        tcp.set_nodelay(true)?;
        match &self.endpoint.tls {
            None => Ok(Stream::Plain(Socket::plain(tcp))),
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), Socket::tls(tcp)).await?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let Endpoint { host, port, .. } = &self.endpoint;
        Ok(match host {
            Host::Ipv4(ip) => vec![SocketAddr::from((*ip, *port))],
            Host::Ipv6(ip) => vec![SocketAddr::from((*ip, *port))],
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), *port)).await?.collect(),
        })
    }
}

/// Connects to the first address that accepts. The next address is tried when the one before it has failed, or has
/// taken longer than [`ATTEMPT_DELAY`] ("happy eyeballs": RFC 8305, section 5).
async fn first_to_connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut attempts = FuturesUnordered::new();
    for address in addresses {
        attempts.push(TcpStream::connect(address));
        match tokio::time::timeout(ATTEMPT_DELAY, attempts.next()).await {
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
