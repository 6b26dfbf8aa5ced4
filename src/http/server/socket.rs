//! What the server needs of a byte stream beyond reading and writing.

use std::io;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

/// The byte stream of a client.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Ready when a read may succeed. Needs no buffer, so that an idle connection holds none.
    ///
    /// # Errors
    /// Those of the socket.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the current response is given up when the client closes its side. Otherwise it is sent, as to a client that
    /// has half closed the connection.
    fn ends_with_client(&self) -> bool;

    /// Closes the stream. `unread`: the client may still be sending; the response must reach it all the same, so the stream
    /// must not be reset.
    ///
    /// # Errors
    /// Those of the socket.
    fn poll_close(&mut self, cx: &mut Context<'_>, unread: bool) -> Poll<io::Result<()>>;
}
