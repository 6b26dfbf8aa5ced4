//! The configuration: typed settings, every value checked and every default filled in.
//!
//! [`load`] reads it in steps; each reports every error it finds: the file becomes a tree with line numbers (`yaml`),
//! `${NAME}` is replaced (`substitute`), each section reads its keys and checks their values (`walk`, `value`, and one
//! file for each section), flags and environment override the file (`load`), and combinations of settings that are
//! allowed but risky become warnings (`warn`). An error names the setting, the file and line, and a remedy; it never
//! contains a secret. Depends on [`wire`](crate::wire) only.

mod auth;
mod base_url;
mod database;
mod duration;
mod environment;
mod error;
mod events;
mod failover;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod keys;
mod limits;
mod listen;
mod load;
mod models;
mod petstore;
mod proxies;
mod redis;
mod reload;
mod secret;
mod settings;
mod substitute;
#[cfg(test)]
mod tests;
mod tls;
mod trusted_proxies;
mod value;
mod walk;
mod warn;
mod yaml;

pub use base_url::BaseUrl;
pub use database::Database;
pub use environment::Environment;
pub use error::{ConfigError, Origin};
pub use events::{AllowOrigins, EventsConfig};
pub use failover::{Backoff, Ejection, Retries};
pub use keys::KeyConfig;
pub use limits::{Limits, RateLimits};
pub use listen::{Drain, ListenAddress, ListenConfig};
pub use load::{
    DEFAULT_FILE, DatabaseSettings, FileVersion, Flags, Loaded, Sources, file_version, load, load_control_socket,
    load_database_settings,
};
pub use models::{
    ANY_MODEL, Affinity, AskUsage, FirstToken, KeyHeader, LOCAL_MODEL, ModelConfig, Timeouts, UpstreamConfig,
};
pub use petstore::{PetStoreConfig, ResponderConfig};
pub use redis::{OnFailure, RedisConfig, RedisUrl};
pub use reload::{ControlSocket, ReloadMode};
pub use secret::{Secret, SecretFile, check_key_length};
pub use settings::{AccountingConfig, Auth, Config, LogFormat, UnknownParameters};
pub use tls::{ClientAuth, PemFile, TlsFiles};
pub use trusted_proxies::TrustedProxies;
pub use value::parse_moment;
