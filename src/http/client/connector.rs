//! Makes new connections: name resolution, TCP or a unix socket, TLS.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, UnixStream};
use url::Host;

use super::connection::Connection;
use super::endpoint::{Address, Endpoint};
use super::error::Error;
use super::socket::Socket;
use super::stream::Stream;
use super::transport::Transport;

/// How long the next address of a name waits for the one before it (RFC 8305 recommends 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The wait for room in the queue of a unix socket, doubled each time up to the longest.
const FIRST_FULL_DELAY: Duration = Duration::from_millis(1);
const MAX_FULL_DELAY: Duration = Duration::from_millis(50);

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
        let transport = match &self.endpoint.address {
            Address::Unix(socket) => Transport::Unix(connect_unix(socket).await?),
            Address::Tcp(host, port) => {
                let tcp = first_to_connect(addresses(host, *port).await?).await?;
                // Otherwise a short request waits up to 40 ms for the peer's delayed acknowledgement.
                tcp.set_nodelay(true)?;
                Transport::Tcp(tcp)
            }
        };
        match &self.endpoint.tls {
            None => Ok(Stream::Plain(Socket::plain(transport))),
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), Socket::tls(transport)).await?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }
}

async fn addresses(host: &Host<String>, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(match host {
        Host::Ipv4(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Ipv6(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Domain(name) => tokio::net::lookup_host((name.as_str(), port)).await?.collect(),
    })
}

/// Connects to a unix socket. While its queue of connections is full, Linux refuses at once (`EAGAIN`) where TCP would
/// wait, and reports nothing when there is room: it is tried again, until the caller's timeout.
async fn connect_unix(socket: &Path) -> io::Result<UnixStream> {
    let mut delay = FIRST_FULL_DELAY;
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(delay).await,
            connected => return connected,
        }
        delay = (delay * 2).min(MAX_FULL_DELAY);
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
