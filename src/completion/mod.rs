//! One completion from end to end: allowed model, tokens reserved -> response -> usage settled.
//!
//! A stream is one body that pulls: from the local model's pieces, or from the upstream's connection. There is no task
//! and no queue between the upstream and the client, so a slow client slows the upstream, and a client that leaves
//! closes the upstream's connection. Depends on the models (`responder`, `upstream`), the limits and the usage
//! records.

mod buffered;
mod choices;
mod client_format;
mod context;
mod error_response;
mod event_reader;
mod frame_buffer;
mod local;
mod local_stream;
mod local_writer;
mod memory;
mod model_name;
mod open;
mod proxy_request;
mod redact;
mod response_head;
mod retry;
mod service;
mod session;
mod sniff;
mod stream_times;
mod streaming;
mod timeouts;
mod token_count;
mod transcode;
mod translation;
mod unwind;
mod usage_counter;
mod usage_fallback;
mod usage_guard;
mod wake_flag;

pub use context::{Caller, CompletionParts};
pub use service::CompletionService;
