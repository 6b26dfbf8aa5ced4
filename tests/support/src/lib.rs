//! Support shared by the test binaries of petstream: a raw HTTP client, scripted upstreams, strict readers of
//! completion and event streams, the executable as a child process, and the seeded fault traffic of `tests/storm` and
//! `tests/soak`.
//!
//! Nothing here depends on the crate under test, so that a reader cannot share a mistake with the codec that it checks.
//! Everything panics where an expectation fails.

pub mod bound_socket;
pub mod completion_stream;
pub mod config;
pub mod event_stream;
pub mod fault_proxy;
pub mod frames;
pub mod full_backlog;
pub mod http;
pub mod log;
pub mod program;
pub mod random;
pub mod round_robin;
pub mod servers;
pub mod storm;
pub mod surface_stream;
pub mod test_database;
pub mod tls;
pub mod upstream;
pub mod usage_records;
mod wait;

pub use wait::{becomes, soon};
