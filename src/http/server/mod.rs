//! HTTP/1.1 as a server speaks it (RFC 9112): one connection, its requests one after the other, and their answers.
//!
//! Everything is one future without a task, a channel or a timer of its own for each request: a token goes from the body
//! that makes it into the socket in one poll. While a connection waits, for a request or for the next token, it holds no
//! buffer.

mod connection;
mod date;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod read_buffer;
mod refusal;
mod request_body;
mod request_head;
mod response_head;
mod socket;
#[cfg(test)]
mod tests;
mod write_buffer;

pub use connection::{Connection, ConnectionOptions};
pub use refusal::{EngineRefusal, Refuser};
pub use request_body::{BodyAborted, RequestBody};
pub use socket::Socket;
