//! HTTP/1.1 (RFC 9112) as a transport, independent of models, keys and stores.
//!
//! `codec` has the rules and buffers that both sides of a connection share, `server` serves the connections of
//! clients, `client` sends requests to an endpoint.

pub mod client;
pub mod codec;
#[cfg(feature = "fuzzing")]
pub use server::fuzzing;
pub mod server;
