//! Authentication: which keys exist, which browser sessions stand for them, and what a request presents.
//!
//! Depends on the store for keys and sessions. The layer that checks each request is `middleware::authenticate`; the
//! form of a key and its hash are `wire::api_key`, because the configuration and the store need them too.

pub mod browser_credential;
pub mod context;
pub mod keyring;
pub mod public_reads;
pub mod sessions;
mod tickets;
