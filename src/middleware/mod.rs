//! Tower layers between the HTTP server and the handlers, one concern each, and the one stack that they form.
//!
//! A layer's file reads from top to bottom: the layer, its service, its future. Layers answer with the formats of
//! [`error`](crate::error); their results are in the request's [`context`].

pub mod authenticate;
pub mod authenticator;
pub mod context;
pub mod cors;
mod offered_key;
pub mod origin_check;
pub mod rate_limit;
pub mod request_log;
pub mod retryable_errors;
pub mod stack;
