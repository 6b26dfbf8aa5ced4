//! Seeded fault traffic: plans drawn from a seed, upstreams that play the faults of a plan, clients that behave as the
//! plan says, and checks that compare what clients received, what upstreams sent and what the server recorded.

pub mod attempts;
pub mod check;
pub mod client;
pub mod fault;
pub mod plan;
pub mod records;
pub mod traffic;
pub mod transcript;
pub mod upstream;
