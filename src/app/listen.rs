//! The sockets that accept connections: bound by the server, or passed to it by systemd.

mod inherited;
mod listener;
mod proxy_protocol;

use std::net::IpAddr;

use super::error::AppError;
use super::listener_address::ListenerAddress;
use crate::config::{Auth, Config, ListenAddress, ListenConfig};
use crate::http::server::ServerTls;
use listener::{bind_tcp, bind_unix};

pub use inherited::InheritedSockets;
pub(super) use listener::{Listener, ListenerProtocol};
pub(super) use proxy_protocol::read_header;

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
            main.extend(bound.into_iter().map(|listener| listener.of_entry(entry)));
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
