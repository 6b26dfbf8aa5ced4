//! The server side of HTTP/1.1 (RFC 9112): one connection, its requests one after the other, and their responses.
//!
//! A connection is one future, without a task, a channel or a timer of its own for each request: a token goes from the body
//! that produces it into the socket in one poll. While it waits for a request or for the next token, it holds no buffer.
//!
//! The seam: [`Connection`] is made of a [`Socket`], a service (a function from a request to the future of a response), and a
//! [`Refuser`]. It answers every request through the service, or refuses it through the refuser; a response is complete in its
//! head; the future or the body of a response is dropped when the client is gone.

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
mod tls;
mod write_buffer;

pub use connection::{Connection, ConnectionOptions};
pub use refusal::{EngineRefusal, Refuser};
pub use request_body::{BodyAborted, RequestBody};
pub use socket::Socket;
pub use tls::{LoadedTls, ServerTls, ServerTlsError};
