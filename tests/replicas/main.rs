//! What replicas share, against a real Redis: Debian's `redis-server`.
#![cfg(test)]

mod client;
mod exchange;
mod heartbeats;
mod leases;
mod limits;
mod notifications;
mod redis;
mod shared_state;
