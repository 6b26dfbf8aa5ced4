//! Limits that all replicas share, in Redis.
//!
//! ```text
//!   SharedLimit (one limit of one key, or of all keys) ── spend, settle ──> Lease: what this replica holds of it
//!        │ nothing held: waits, at most 50 ms                                  ^
//!        v                                                                     │ begin, finish
//!   queue ──> ExchangeTask: one round trip for all limits that need one ──> exchange.lua in Redis
//!              ^ once a second: what is owed, idle or about to end
//! ```
//!
//! A replica takes a piece of the shared bucket before it spends it, and spends it without a call. While Redis is up,
//! requests and streams are exact. In an [`Outage`](Mode::Outage) `redis.on_failure` decides; by default a replica admits
//! the limit divided by the number of replicas, and charges it afterwards. When Redis has lost its data, a
//! [`Recovery`](Mode::Recovery) of 1.5 s lets all replicas report what was used.

mod backend;
mod exchange;
mod exchanger;
mod lease;
mod limit;
mod mode;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_backend;
mod open;
mod outage;
mod pace;
mod scope;
mod shared_limits;
#[cfg(test)]
mod simulation;

pub use exchanger::ExchangeTask;
pub(super) use limit::{SharedLimit, Stop};
pub use mode::Mode;
pub(super) use shared_limits::Missing;
pub use shared_limits::SharedLimits;
