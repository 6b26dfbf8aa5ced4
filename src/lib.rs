//! petstream: an OpenAI-compatible streaming chat-completions proxy with a live pet store.
//!
//! A module imports modules of lower layers only; modules of one layer do not import each other, and no two files
//! import each other in a cycle (`tests/architecture` checks all of it):
//!
//! | layer | module | contents |
//! |---|---|---|
//! | 10 | `main.rs`, `cli/` | command line, exit codes |
//! | 9 | [`app`] | configuration -> adapters -> state -> serve -> drain |
//! | 8 | [`api`] | the HTTP surface, one file per resource |
//! | 7 | [`middleware`], [`completion`], [`web`] | tower layers, one concern each; one completion end to end; the page |
//! | 6 | [`error`] | every status code and body that a client can see |
//! | 5 | [`responder`] | petstore-ai, the local model |
//! | 4 | [`petstore`] | pets, orders, inventory: a command writes state and events in one transaction |
//! | 3 | [`auth`], [`events`], [`limiter`], [`upstream`], [`usage`] | authentication; live events; rate limits; routing, health and retries; usage records |
//! | 2 | [`http`], [`shared`], [`store`], [`telemetry`] | the HTTP/1.1 transport; what replicas share in Redis; the database; logs and metrics |
//! | 1 | [`config`], [`time`], [`offload`] | configuration file -> typed settings; clock, timers, shutdown; a bounded pool for long computations |
//! | 0 | [`wire`], [`bound`], `sync` | pure data and codecs, no I/O; bounds with a share for each owner; the synchronization primitives that loom replaces |

pub mod bound;
mod sync;
pub mod wire;

pub mod config;
pub mod offload;
pub mod time;

pub mod http;
pub mod shared;
pub mod store;
pub mod telemetry;

pub mod auth;
pub mod events;
pub mod limiter;
pub mod upstream;
pub mod usage;

pub mod petstore;

pub mod responder;

pub mod error;

pub mod completion;
pub mod middleware;
pub mod web;

pub mod api;

pub mod app;
