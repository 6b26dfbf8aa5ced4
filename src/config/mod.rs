//! Configuration as it runs: every value checked, every default filled in.
//!
//! [`load`] reads it in steps that each report everything they find: the file's text becomes a tree with line
//! numbers (`yaml`), variables are put into its texts (`substitute`), a walk asks for every key and checks every
//! value (`walk`, `value`, and one file for each section), flags and environment are laid over it (`load`), and
//! pairs of settings that are allowed but risky become warnings (`warn`).

mod duration;
mod error;
mod events;
mod failover;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod keys;
mod limits;
mod load;
mod models;
mod secret;
mod substitute;
#[cfg(test)]
mod tests;
mod value;
mod walk;
mod warn;
mod yaml;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use jiff::Timestamp;

use crate::wire::api_key::{KeyHash, Scopes};

pub use error::{ConfigError, Origin};
pub use events::{AllowOrigins, EventsConfig};
pub use failover::{Backoff, Ejection, Retries};
pub use load::{DEFAULT_FILE, Flags, ForKeys, Loaded, Sources, load, load_for_keys};
pub use models::{AskUsage, FirstToken, ModelConfig, Timeouts, UpstreamConfig};
pub use secret::{SecretFile, long_enough};
pub use value::parse_moment;

/// Name of the built-in model; no upstream may take it.
pub const LOCAL_MODEL: &str = "petstore-ai";
/// The name that takes every model that no other entry takes.
pub const ANY_MODEL: &str = "*";

/// Everything that the server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default `127.0.0.1:4000`.
    pub listen: SocketAddr,
    /// Threads that serve connections. Default: one for each core that the process may use; 1 to 1,024.
    pub threads: NonZeroUsize,
    /// `sqlite:PATH` or `sqlite::memory:`. Default `sqlite:petstream.db`.
    pub database: String,
    /// Whether keys are asked for. Default [`Auth::Keys`].
    pub auth: Auth,
    /// Form of the log. Default [`LogFormat::Auto`].
    pub log_format: LogFormat,
    /// Keys from the file and the environment; keys made with `petstream keys create` live in the database.
    pub keys: Vec<KeyConfig>,
    /// Rate limits and bounds.
    pub limits: Limits,
    /// What is done about top-level request parameters that the API does not know. Default: passed on.
    pub unknown_parameters: UnknownParameters,
    /// The local model.
    pub responder: ResponderConfig,
    /// Pets and orders.
    pub petstore: PetStoreConfig,
    /// The upstream models, in the order of the file; names are unique, `*` takes every other name.
    pub models: Vec<ModelConfig>,
    /// How long running requests may go on after SIGTERM; what is left then gets one error frame. Default 25 s, which
    /// fits Kubernetes' grace period of 30 s; 0 s to 1 h.
    pub drain: Duration,
    /// How long the true status of a stream is held back for its first event, before 200 and heartbeats begin.
    /// Default 10 s, 0 s to 5 min.
    pub hold: Duration,
    /// Longest silence on a stream before a comment is sent. Default 15 s, 1 s to 5 min.
    pub heartbeat: Duration,
    /// Where `/metrics` is served to everybody, with the probes beside it. Default none: only on the main listener,
    /// for keys with the scope `stats`.
    pub metrics_listen: Option<SocketAddr>,
    /// Usage records.
    pub accounting: AccountingConfig,
    /// Live events.
    pub events: EventsConfig,
    /// Whose pages may read answers from another origin. Default: nobody's.
    pub allow_origins: AllowOrigins,
    /// Whether cookies are marked `Secure`, for https only. Default false: nothing tells the server reliably what stands
    /// in front of it.
    pub secure_cookies: bool,
    /// Path under which browsers see `/`, from slash to slash: what a proxy in front takes away. Default `/`.
    pub public_path: String,
    /// Whether `/` is a page for people. Default true.
    pub page: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            database: "sqlite:petstream.db".to_owned(),
            auth: Auth::default(),
            log_format: LogFormat::default(),
            keys: Vec::new(),
            limits: Limits::default(),
            unknown_parameters: UnknownParameters::default(),
            responder: ResponderConfig::default(),
            petstore: PetStoreConfig::default(),
            models: Vec::new(),
            drain: Duration::from_secs(25),
            hold: Duration::from_secs(10),
            heartbeat: Duration::from_secs(15),
            metrics_listen: None,
            accounting: AccountingConfig::default(),
            events: EventsConfig::default(),
            allow_origins: AllowOrigins::default(),
            secure_cookies: false,
            public_path: "/".to_owned(),
            page: true,
        }
    }
}

impl Config {
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

/// Whether callers must show a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// A bearer key on every request but probes.
    #[default]
    Keys,
    /// Everybody may do everything; refused on an address that is not loopback.
    None,
}

/// Form of the log on stderr.
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
    /// Forwarded untouched, as vLLM's and llama.cpp's clients need.
    #[default]
    Pass,
    /// Refused with 400 `unknown_parameter`, as the real API does.
    Refuse,
}

/// A key from the file or the environment. Only the hash of its secret is kept.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Unique name: in logs, usage records and limits.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: KeyHash,
    /// The file that holds the secret, which is read again when it changes; none: it is written in the configuration.
    pub file: Option<SecretFile>,
    /// From when on it is refused. Default: never.
    pub expires_at: Option<Timestamp>,
    /// Which models it may use. Default: all.
    pub models: Option<Vec<String>>,
    /// What it may do. Default: all but `stats`; keys from the environment: all.
    pub scopes: Scopes,
    /// Its own limits; what is not set here is taken from `limits.per_key`.
    pub limits: RateLimits,
}

/// Rates and concurrency; what is not set is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute; a full minute's worth may come at once.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Prompt and completion tokens a minute.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Streams open at the same time.
    pub concurrent_streams: Option<NonZeroU32>,
}

impl RateLimits {
    /// These limits, with `other`'s where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(other.requests_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(other.tokens_per_minute),
            concurrent_streams: self.concurrent_streams.or(other.concurrent_streams),
        }
    }
}

/// Rate limits, and the bounds of what one client can make the server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All keys together.
    pub total: RateLimits,
    /// Each key, unless its own entry says otherwise.
    pub per_key: RateLimits,
    /// Longest request body, bytes. Default 16 MiB, 1 KiB to 1 GiB. Longer: 413.
    pub body: u64,
    /// All request bodies held at once, bytes. Default 512 MiB; `body` to 1 TiB. More: 503.
    pub bodies_total: u64,
    /// Those of one key. Default a quarter of `bodies_total`, and at least `body`; `body` to 1 TiB. More: 429.
    pub bodies_per_key: Option<u64>,
    /// Longest request head, bytes. Default 64 KiB, 8 KiB to 1 MiB. Longer: 431.
    pub head: usize,
    /// Deepest nesting of request JSON. Default 128, 8 to 1024. Deeper: 400.
    pub json_depth: usize,
    /// Connections at once. Default 20,000, 1 to 1,000,000. Further ones wait in the kernel's queue.
    pub connections: usize,
    /// Longest time for the head of a connection's first request to arrive; `keep_alive` where that is shorter. Default 10 s, 1 ms to 24 h.
    pub header_read: Duration,
    /// How long a kept connection may be idle between requests, the head of the next one included. Default 75 s, 1 ms to
    /// 24 h: longer than the 60 s of common balancers, which must be the ones to close. Then the connection is closed.
    pub keep_alive: Duration,
    /// Longest silence while a request's body arrives. Default 30 s, 1 ms to 24 h. Then 408.
    pub body_read: Duration,
    /// Least bytes a second at which a body arrives, over each `body_read`. Default 500; 0 to 1 GiB, 0: any. Less: 408.
    pub body_rate: u64,
    /// Longest time for a whole body. Default 10 min, 1 ms to 24 h. Then 408.
    pub body_time: Duration,
    /// Longest time in which a reader takes no byte of an answer. Default 60 s, 1 ms to 24 h. Then the connection is cut.
    pub write_idle: Duration,
    /// Longest frame of an upstream's stream, bytes. Default 8 MiB, 1 KiB to 1 GiB.
    pub frame: usize,
    /// Longest answer of an upstream that is not a stream, bytes. Default 32 MiB, 1 KiB to 1 GiB.
    pub answer: usize,
    /// Large pieces of answers (over 64 KiB) held at once, bytes. Default 512 MiB, and at least
    /// `answer` and `frame`; those to 1 TiB. More: 503,
    /// or the end of the stream with that error.
    pub answers_total: u64,
    /// Those of one key. Default a quarter of `answers_total`, and at least `answer`. More: 429, or likewise.
    pub answers_per_key: Option<u64>,
    /// Whether a running stream ends when its key's tokens a minute are used up. Default false: it goes on, and the
    /// key's next request waits.
    pub stop_at_budget: bool,
}

/// The local model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponderConfig {
    /// Tokens a second, for demonstrations; none: as fast as it can. 0.1 to 100,000.
    pub tokens_per_second: Option<f64>,
}

/// Pets and orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PetStoreConfig {
    /// Whether pets, orders, the inventory and events may be read without a key. Default false.
    pub public_reads: bool,
    /// Available pets of a species at which, or below which, a notification says that it runs low. Default 2, 0 to
    /// 1,000,000.
    pub low_stock: u32,
    /// Most pets. Default 10,000, 1 to 1,000,000. More: 409.
    pub pets: u64,
    /// Those that one key has made. Default half of `pets`, 1 to 1,000,000. More: 409.
    pub pets_per_key: Option<u64>,
    /// Orders that are kept, the oldest closed ones going first. Default 100,000, 100 to 100,000,000.
    pub orders: u64,
    /// Those that one key has placed. Default half of `orders`, 100 to 100,000,000.
    pub orders_per_key: Option<u64>,
}

impl Default for PetStoreConfig {
    fn default() -> Self {
        Self {
            public_reads: false,
            low_stock: 2,
            pets: 10_000,
            pets_per_key: None,
            orders: 100_000,
            orders_per_key: None,
        }
    }
}

/// Text that must not be shown: `Debug` prints asterisks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: Option<SecretFile>,
}

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self { text, file: None }
    }

    /// The same secret, that `file` holds and may change.
    #[must_use]
    pub fn in_file(self, file: Option<SecretFile>) -> Self {
        Self { file, ..self }
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The file that holds it, which is read again when it changes; none: it is written in the configuration.
    #[must_use]
    pub const fn file(&self) -> Option<&SecretFile> {
        self.file.as_ref()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What is kept of requests that were served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountingConfig {
    /// How long usage records are kept; none (`0s` in the file): for ever. Default 90 d, 1 h to 3650 d.
    pub keep: Option<Duration>,
}

impl Default for AccountingConfig {
    fn default() -> Self {
        Self { keep: Some(Duration::from_secs(90 * 24 * 60 * 60)) }
    }
}

/// The environment as a map, so that tests need not change the process's own.
pub type Environment = HashMap<String, String>;

/// The variable `name`; an empty one counts as unset.
fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}
