//! Seeded fault traffic: plans drawn from a seed, upstreams that inject the faults of a plan, clients that follow it,
//! and checks that compare the bytes that clients received, the bytes that upstreams sent and the server's records.

pub mod attempts;
pub mod check;
pub mod client;
pub mod fault;
pub mod plan;
pub mod records;
pub mod traffic;
pub mod transcript;
pub mod upstream;
