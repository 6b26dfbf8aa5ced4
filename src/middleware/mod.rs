//! Tower layers: what stands between the socket and the handlers.

pub mod authenticate;
pub mod cors;
pub mod origin_check;
pub mod rate_limit;
pub mod request_log;
