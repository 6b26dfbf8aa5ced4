//! What replicas share, against a real Redis: Debian's `redis-server`.
#![cfg(test)]

mod client;
mod heartbeats;
mod notifications;
mod redis;
mod shared_state;
