//! Where Redis is, and how a connection to it is made: name resolution, TCP, TLS, authentication.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::text;
use super::open_error::Problem;
use crate::config::RedisUrl;

/// Longest time to connect and sign in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where Redis is, and how to sign in.
pub(super) struct Endpoint {
    url: RedisUrl,
    sign_in: RedisConnectionInfo,
    tls: Option<TlsConnector>,
}

/// The future that reads and writes a connection; it ends when the connection is closed.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

impl Endpoint {
    /// `tls` is used for `rediss://` only.
    pub(super) fn new(url: &RedisUrl, tls: &Arc<ClientConfig>) -> Self {
        let mut sign_in = RedisConnectionInfo::default().set_db(url.database().into());
        if let Some(username) = url.username() {
            sign_in = sign_in.set_username(username);
        }
        if let Some(password) = url.password() {
            sign_in = sign_in.set_password(password.reveal());
        }
        let tls = url.tls().then(|| {
            let mut config = ClientConfig::clone(tls);
            // Redis has no protocol to agree on.
            config.alpn_protocols.clear();
            TlsConnector::from(Arc::new(config))
        });
        Self { url: url.clone(), sign_in, tls }
    }

    /// Host and port.
    pub(super) fn server(&self) -> String {
        self.url.to_string()
    }

    /// Makes a connection for calls. The call has a timeout of its own, so the library's is off.
    pub(super) async fn connect(&self) -> Result<(MultiplexedConnection, Driver), Problem> {
        within_timeout(async {
            let socket = self.open_socket().await?;
            let config = AsyncConnectionConfig::new().set_response_timeout(None);
            let made = MultiplexedConnection::new_with_config(&self.sign_in, socket, config).await;
            let (connection, driver) = made.map_err(|error| sign_in_problem(&error))?;
            Ok((connection, Box::pin(driver) as Driver))
        })
        .await
    }

    /// Makes a connection that receives what is published.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub, Problem> {
        within_timeout(async {
            let socket = self.open_socket().await?;
            let mut subscriber = PubSub::new(&self.sign_in, socket).await.map_err(|error| sign_in_problem(&error))?;
            subscriber.subscribe(channel).await.map_err(|error| Problem::Refused(text(&error)))?;
            Ok(subscriber)
        })
        .await
    }

    async fn open_socket(&self) -> Result<Box<dyn Socket>, Problem> {
        let failed = |error: io::Error| Problem::Connect(text(&error));
        let socket = TcpStream::connect((self.url.host(), self.url.port())).await.map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let name = ServerName::try_from(self.url.host().to_owned());
        let name = name.map_err(|error| Problem::Tls(text(&error)))?;
        let socket = tls.connect(name, socket).await.map_err(|error| Problem::Tls(text(&error)))?;
        Ok(Box::new(socket))
    }
}

async fn within_timeout<T>(connecting: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let too_slow = || Problem::Connect(format!("no connection within {CONNECT_TIMEOUT:?}"));
    timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_elapsed| Err(too_slow()))
}

/// What an error of the handshake with Redis means.
fn sign_in_problem(error: &redis::RedisError) -> Problem {
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) => Problem::SignIn("Redis refuses user and password".to_owned()),
        (_, Some("NOAUTH" | "WRONGPASS")) => Problem::SignIn(text(error)),
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => Problem::Refused(text(error)),
        _ => Problem::Connect(text(error)),
    }
}
