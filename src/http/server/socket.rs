//! What the engine asks of a byte stream beyond reading and writing.

use std::io;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

/// What bytes come from and go to.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Ready when a read would not wait; takes no buffer to find out.
    ///
    /// # Errors
    /// Those of the socket.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the answer at hand is given up when the client ends its side. Otherwise a client that sends no more gets it.
    fn ends_with_client(&self) -> bool;

    /// Closes it. `unread`: the client may still be sending what nobody reads, and must get its answer all the same.
    ///
    /// # Errors
    /// Those of the socket.
    fn poll_close(&mut self, cx: &mut Context<'_>, unread: bool) -> Poll<io::Result<()>>;
}
