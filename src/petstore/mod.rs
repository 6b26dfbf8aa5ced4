//! Pets: what they are, how they are found, where they are kept.

pub mod filter;
pub mod pet;
