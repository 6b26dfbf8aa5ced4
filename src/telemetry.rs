//! Logs and records.

pub mod record;
