//! The HTTP surface.

mod parameters;
pub mod pets;
