//! What replicas share, against a real Redis: Debian's `redis-server`.
#![cfg(test)]

mod redis;
mod shared_state;
