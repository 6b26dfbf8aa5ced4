//! Every test that boots the server, in one binary: it links once.
#![cfg(test)]

mod contract_errors;
mod metrics;
mod support;
mod wire;
