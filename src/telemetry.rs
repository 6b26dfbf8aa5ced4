//! Telemetry: the log on stderr, metrics for Prometheus, and samples of them for the page.
//!
//! [`record`] holds what is known of one request while it runs; the line of the request and its metrics are made of it.
//! Depends on `config` and `time`. Neither logs nor metrics ever contain prompts, answers, keys or credentials.

pub mod configuration;
mod init;
mod log;
pub mod metrics;
pub mod record;
pub mod samples;

pub use init::init;
pub use log::{Flush, RequestLine};
