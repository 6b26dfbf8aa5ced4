//! An HTTP/1.1 client (RFC 9112) for one endpoint: it keeps idle connections, sends a request on one of them or on a
//! new one, and returns the head of the response with a body that drives its connection.
//!
//! An exchange has no task of its own. The caller that awaits the head or polls the body drives the connection beneath
//! it: dropping either closes the connection, and nothing is read before the caller polls for it (back-pressure).

mod connection;
mod connector;
mod endpoint;
mod error;
mod exchange;
mod pool;
mod request;
mod response;
mod response_head;
mod socket;
mod stream;
mod tls;
mod transport;

pub use endpoint::Endpoint;
pub use error::Error;
pub use exchange::Client;
pub use request::Request;
pub use response::{Response, ResponseBody};
pub use tls::{TlsError, system_tls, unverified_tls};
