//! HTTP/1.1 as a server speaks it (RFC 9112): one connection, its requests one after the other, and their answers.
//!
//! Everything is one future without a task, a channel or a timer of its own for each request: a token goes from the body
//! that makes it into the socket in one poll. While a connection waits, for a request or for the next token, it holds no
//! buffer.

mod connection;
mod date;
mod fields;
mod framing;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod head;
mod inbox;
mod incoming;
mod outgoing;
mod refused;
mod reply;
pub(crate) mod room;
mod socket;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Terms};
pub use fields::Fields;
pub(crate) use framing::{Chunks, Framing, Piece};
pub use incoming::{BrokenOff, Incoming};
pub use refused::{Refused, Refuser};
pub use socket::Socket;
