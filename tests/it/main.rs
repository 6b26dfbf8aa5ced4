//! Every test that boots the server, in one binary: it links once.
#![cfg(test)]

mod accounting;
mod async_openai;
mod connections;
mod contract_errors;
mod engine_refusals;
mod faults;
mod heartbeats;
mod hostile;
mod keys;
mod leaving;
mod lifecycle;
mod limits;
mod me;
mod metrics;
mod other_models;
mod page;
mod paths;
mod petstore_ai;
mod preflights;
mod proxy;
mod quirks;
mod routes;
mod routing;
mod server;
mod shares;
mod stats;
mod store;
mod strangers;
mod wire;
