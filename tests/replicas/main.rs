//! What replicas share, against a real Redis: Debian's `redis-server`, which each test starts for itself.
#![cfg(test)]

mod redis;
mod redis_server;
