//! The whole configuration, and the settings that belong to no section of their own.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::database::Database;
use super::events::{AllowOrigins, EventsConfig};
use super::keys::KeyConfig;
use super::limits::Limits;
use super::listen::{Drain, ListenAddress, ListenConfig};
use super::models::ModelConfig;
use super::petstore::{PetStoreConfig, ResponderConfig};
use super::redis::RedisConfig;
use super::reload::{ControlSocket, ReloadMode};
use super::trusted_proxies::TrustedProxies;

/// Everything that the server needs to start, checked and with all defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listeners; at least one. Default `127.0.0.1:4000`, or the sockets from systemd if it passes any.
    pub listen: Vec<ListenConfig>,
    /// Whether `listen` is the default, which gives way to sockets from systemd.
    pub listen_is_default: bool,
    /// Proxies whose word about the client's address is believed. Default none.
    pub trusted_proxies: TrustedProxies,
    /// Age at which a client's connection is closed after its current response, plus or minus a tenth, so that load
    /// balancers can distribute connections anew; none (`0s` in the file): never. Default none, at most 24 h.
    pub connection_age: Option<Duration>,
    /// Worker threads. Default: one for each core that the process may use; 1 to 1,024.
    pub threads: NonZeroUsize,
    /// Where the database is. Default `sqlite:petstream.db`.
    pub database: Database,
    /// The Redis that replicas share. Default none: there is one replica.
    pub redis: Option<RedisConfig>,
    /// Whether requests need an API key. Default [`Auth::Keys`].
    pub auth: Auth,
    /// While a database that servers share can't be read, its keys are used for this long after the last read, 0 s to
    /// 24 h. Default 5 min.
    pub auth_cache: Duration,
    /// Format of the log. Default [`LogFormat::Auto`].
    pub log_format: LogFormat,
    /// Keys from the file and the environment; those of `petstream keys create` are in the database.
    pub keys: Vec<KeyConfig>,
    /// Rate limits and bounds.
    pub limits: Limits,
    /// Treatment of top-level request parameters that the API does not define. Default [`UnknownParameters::Pass`].
    pub unknown_parameters: UnknownParameters,
    /// Whether the built-in model petstore-ai is there. Default true. If not, its name is like any other.
    pub local_model: bool,
    /// The local model.
    pub responder: ResponderConfig,
    /// Pets and orders.
    pub petstore: PetStoreConfig,
    /// The upstream models, in the order of the file; names are unique, `*` takes every other name.
    pub models: Vec<ModelConfig>,
    /// How the server leaves at SIGTERM.
    pub drain: Drain,
    /// How long the status of a stream is held back for its first event, so that an early failure still has its own
    /// status; then 200 is sent, and heartbeats begin. Default 10 s, 0 s to 5 min.
    pub hold: Duration,
    /// Longest silence on a stream of a completion before a comment is sent. Default 15 s, 1 s to 5 min.
    pub heartbeat: Duration,
    /// A listener of its own for `/metrics` and the probes, without authentication. Default none: `/metrics` is on the
    /// main listener only, for keys with the scope `stats`.
    pub metrics_listen: Option<SocketAddr>,
    /// Usage records.
    pub accounting: AccountingConfig,
    /// Live events.
    pub events: EventsConfig,
    /// Other origins whose pages may read answers. Default: none.
    pub allow_origins: AllowOrigins,
    /// `cookies.secure`: whether cookies are marked `Secure`. Default none: see [`Config::secure_cookies`].
    pub secure_cookies: Option<bool>,
    /// The path prefix that a proxy in front strips, with a slash at either end. Default `/`.
    pub public_path: String,
    /// Whether `/` serves the web page. Default true.
    pub page: bool,
    /// Whether the secret of a first key is shown (`--print-key`, a terminal), and not kept in a file. Default false.
    pub print_key: bool,
    /// When the configuration is read again. Default [`ReloadMode::Manual`].
    pub reload: ReloadMode,
    /// The socket of `petstream reload`. Default [`ControlSocket::BesideDatabase`].
    pub control: ControlSocket,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenConfig::default_with(None),
            listen_is_default: true,
            trusted_proxies: TrustedProxies::default(),
            connection_age: None,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            database: Database::default(),
            redis: None,
            auth: Auth::default(),
            auth_cache: Duration::from_secs(5 * 60),
            log_format: LogFormat::default(),
            keys: Vec::new(),
            limits: Limits::default(),
            unknown_parameters: UnknownParameters::default(),
            local_model: true,
            responder: ResponderConfig::default(),
            petstore: PetStoreConfig::default(),
            models: Vec::new(),
            drain: Drain::default(),
            hold: Duration::from_secs(10),
            heartbeat: Duration::from_secs(15),
            metrics_listen: None,
            accounting: AccountingConfig::default(),
            events: EventsConfig::default(),
            allow_origins: AllowOrigins::default(),
            secure_cookies: None,
            public_path: "/".to_owned(),
            page: true,
            print_key: false,
            reload: ReloadMode::default(),
            control: ControlSocket::default(),
        }
    }
}

impl Config {
    /// Whether cookies are marked `Secure`: `cookies.secure`, or, unless that is set, whether there are TCP listeners and
    /// all speak TLS. The server can't detect whether a proxy in front of one without TLS uses https.
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        let mut tcp =
            self.listen.iter().filter(|listener| !matches!(listener.address, ListenAddress::Unix(_))).peekable();
        self.secure_cookies.unwrap_or_else(|| tcp.peek().is_some() && tcp.all(|listener| listener.tls.is_some()))
    }

    /// The configuration with the share of one key in every bound as the server needs it: with `auth: none` all callers
    /// count as one key, which may use the whole.
    #[must_use]
    pub fn with_shares(self) -> Self {
        if self.auth == Auth::Keys {
            return self;
        }
        let (limits, petstore, events) = (self.limits.undivided(), self.petstore.undivided(), self.events.undivided());
        Self { limits, petstore, events, ..self }
    }
}

/// Whether requests need an API key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Every request but probes needs one.
    #[default]
    Keys,
    /// No authentication; refused on an address that is not loopback.
    None,
}

/// Format of the log on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Human-readable lines.
    Text,
    /// One JSON object a line.
    Json,
}

/// See [`Config::unknown_parameters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownParameters {
    /// Forwarded unchanged, as clients of vLLM and llama.cpp need.
    #[default]
    Pass,
    /// Refused with 400 `unknown_parameter`, as OpenAI does.
    Refuse,
}

/// Usage records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountingConfig {
    /// How long usage records are kept; none (`0s` in the file): without end. Default 90 d, 1 h to 3650 d.
    pub keep: Option<Duration>,
}

impl Default for AccountingConfig {
    fn default() -> Self {
        Self { keep: Some(Duration::from_secs(90 * 24 * 60 * 60)) }
    }
}
