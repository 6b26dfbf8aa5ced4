//! Errors as answers: the only file that chooses status codes.

pub mod problem;
