//! Tests of the proxy and the store, which start the server in this process. One binary, so that it links once.
#![cfg(test)]

mod accounting;
mod async_openai;
mod bounds;
mod client_disconnect;
mod connections;
mod contract_errors;
mod engine_refusals;
mod expensive_bodies;
mod faults;
mod heartbeats;
mod key_shares;
mod keys;
mod lifecycle;
mod limits;
mod listeners;
mod me;
mod metrics;
mod operations;
mod origin_check;
mod other_models;
mod page;
mod paths;
mod petstore_ai;
mod preflights;
mod proxy;
mod quirks;
mod reload;
mod routes;
mod routing;
mod server;
mod stats;
mod store;
mod surfaces;
mod tls_listeners;
mod wire;
