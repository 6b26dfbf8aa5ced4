//! Tower layers: what stands between the socket and the handlers.

pub mod authenticate;
pub mod browser;
pub mod cors;
pub mod observe;
pub mod public_reads;
pub mod rate_limit;
pub mod strangers;
