//! Errors of the transport in an exchange. A response with an error status is not one.

use std::fmt;
use std::io;

/// The reason for which a request got no response, or an incomplete one.
#[derive(Debug)]
pub enum Error {
    /// Name resolution, TCP or TLS failed. Nothing was sent.
    Connect(io::Error),
    /// There was no connection within the time limit. Nothing was sent.
    ConnectTimeout,
    /// The connection ended before the head of the response was complete.
    ClosedBeforeHead,
    /// The connection ended before the body of the response was complete.
    ClosedInBody,
    /// The response is not HTTP/1.1, or its head is too large; with the reason.
    Malformed(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::ClosedBeforeHead => f.write_str("the connection was closed before the response"),
            Self::ClosedInBody => f.write_str("the connection was closed within the response"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            _ => None,
        }
    }
}
