//! Sockets that systemd passes to the process: `LISTEN_FDS` and `LISTEN_FDNAMES` of sd_listen_fds(3).

use std::io::Error;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::listener::Listener;
use crate::app::error::AppError;
use crate::config::ListenConfig;

/// The sockets that were passed to the process and have not been used.
#[derive(Default)]
pub struct InheritedSockets(Vec<InheritedSocket>);

struct InheritedSocket {
    name: String,
    socket: Result<StdSocket, Error>,
}

enum StdSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl InheritedSockets {
    /// Takes them over. It removes the variables, so it must be called before other threads run, and only once.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut passed = ListenFd::from_env();
        let count = passed.len();
        let one = |index| InheritedSocket { name: names.next().unwrap_or_default(), socket: take(&mut passed, index) };
        Self((0..count).map(one).collect())
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those called `name`, or all, as listeners.
    pub(super) fn take(&mut self, name: Option<&str>, config: &ListenConfig) -> Result<Vec<Listener>, AppError> {
        let is_wanted = |socket: &InheritedSocket| name.is_none_or(|name| socket.name == name);
        let (wanted, rest) = std::mem::take(&mut self.0).into_iter().partition(is_wanted);
        self.0 = rest;
        if wanted.is_empty() {
            let error = Error::other("systemd has passed no such socket; write a .socket unit for it");
            return Err(AppError::Listen(config.address.to_string(), error));
        }
        wanted.into_iter().map(|socket| socket.listener(config)).collect()
    }

    /// Logs the sockets that nothing has taken: connections to them would wait for ever.
    pub(super) fn warn_of_unused(self) {
        for socket in self.0 {
            tracing::warn!(name = socket.name, "a socket from systemd is not used: add systemd to listen");
        }
    }
}

impl InheritedSocket {
    fn listener(self, config: &ListenConfig) -> Result<Listener, AppError> {
        let failed = |error: Error| AppError::Listen(format!("systemd:{}", self.name), error);
        match self.socket.map_err(&failed)? {
            StdSocket::Tcp(socket) => {
                socket.set_nonblocking(true).map_err(&failed)?;
                Listener::tcp(TcpListener::from_std(socket).map_err(&failed)?, config)
            }
            StdSocket::Unix(socket) => {
                socket.set_nonblocking(true).map_err(&failed)?;
                Ok(Listener::unix(UnixListener::from_std(socket).map_err(&failed)?, None, config))
            }
        }
    }
}

/// The socket at `index`, which is a TCP or a unix listener.
fn take(passed: &mut ListenFd, index: usize) -> Result<StdSocket, Error> {
    if let Ok(Some(tcp)) = passed.take_tcp_listener(index) {
        return Ok(StdSocket::Tcp(tcp));
    }
    let unix = passed.take_unix_listener(index)?;
    unix.map(StdSocket::Unix).ok_or_else(|| Error::other("the socket was taken already"))
}
