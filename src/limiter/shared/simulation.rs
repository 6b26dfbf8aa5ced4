//! Replicas on a model of Redis, on tokio's paused clock: what they admit together, with and without faults. Every case
//! is drawn from a seed, and runs again in the same way.

mod faults;
mod sharing;
mod streams;
mod world;
