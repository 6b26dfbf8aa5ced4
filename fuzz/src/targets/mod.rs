//! The fuzz targets; `docs/FUZZING.md` has a table of them.

pub mod chat_request;
pub mod chunk;
pub mod chunked_body;
pub mod configuration;
pub mod cursor;
pub mod json;
pub mod request_head;
pub mod server_connection;
pub mod sse;
pub mod translated_requests;
pub mod translated_streams;
pub mod upstream_answers;
