//! Every test that boots the server, in one binary: it links once.
#![cfg(test)]

mod async_openai;
mod contract_errors;
mod faults;
mod keys;
mod lifecycle;
mod limits;
mod metrics;
mod proxy;
mod support;
mod wire;
