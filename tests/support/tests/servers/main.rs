//! The servers and proxies of the tests of several replicas, on their own. Needs PostgreSQL, Redis and PgBouncer.
#![cfg(test)]

mod fault_proxy;
mod orphans;
mod postgres;
mod redis;
mod round_robin;
