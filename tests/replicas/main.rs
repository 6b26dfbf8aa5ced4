//! Several servers on one Postgres and one Redis, and what happens to them when one is killed or an engine fails.
//!
//! Needs PostgreSQL, PgBouncer and Redis of Debian's packages; `tests/run` installs them.
#![cfg(test)]

mod browsers;
mod callers;
mod client;
mod clocks;
mod commit_outcome;
mod copy;
mod database_faults;
mod events;
mod exhausted;
mod failover;
mod heartbeats;
mod kill;
mod leases;
mod limits;
mod load;
mod matrix;
mod notifications;
mod pause;
mod rates;
mod redis;
mod redis_faults;
mod replicas;
mod scaling;
mod script;
mod shared_state;
mod start;
mod subscribers;
mod writers;
