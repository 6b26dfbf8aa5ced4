//! Several servers on one Postgres, and what happens to them when one is killed or the database fails.
//!
//! Needs PostgreSQL and PgBouncer of Debian's packages; `tests/run` installs them.
#![cfg(test)]

mod browsers;
mod commit_outcome;
mod database_faults;
mod events;
mod failover;
mod kill;
mod replicas;
mod start;
mod writers;
