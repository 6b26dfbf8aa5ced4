//! petstream: an OpenAI-compatible streaming chat-completions proxy with a live pet store.
//!
//! A room imports only rooms on lower floors; rooms of one floor do not import each other
//! (`tests/house.rs` checks it):
//!
//! | floor | room | what lives there |
//! |---|---|---|
//! | 8 | `main.rs`, `cli/` | command line, exit codes |
//! | 7 | [`app`] | configuration -> adapters -> state -> serve -> drain |
//! | 6 | [`api`] | the HTTP surface: one file per resource, the numbered stack of layers |
//! | 5 | [`layer`], [`relay`] | tower layers; one completion from end to end |
//! | 4 | [`error`] | the only file that chooses status codes |
//! | 3 | [`hub`], [`keyring`], [`ledger`], [`limiter`], [`responder`], [`sessions`], [`upstream`] | live events, who may, what was used, how much, the local model, browsers, the remote models |
//! | 2 | [`http1`], [`petstore`], [`store`], [`telemetry`] | a client's connection; pets; the database below them; logs and metrics |
//! | 1 | [`config`], [`deadline`], [`offload`] | what a person wrote -> what runs; when things must be over; work that would hold up a thread |
//! | 0 | [`wire`], [`clock`], [`bound`], `sync` | pure data and codecs, no I/O; the time; bounds that all share; the primitives of what is model-checked |

pub mod bound;
pub mod clock;
mod sync;
pub mod wire;

pub mod config;
pub mod deadline;
pub mod offload;

pub mod http1;
pub mod petstore;
pub mod store;
pub mod telemetry;

pub mod hub;
pub mod keyring;
pub mod ledger;
pub mod limiter;
pub mod responder;
pub mod sessions;
pub mod upstream;

pub mod error;

pub mod layer;
pub mod relay;

pub mod api;

pub mod app;
