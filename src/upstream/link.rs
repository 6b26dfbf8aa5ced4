//! One HTTP/1.1 connection, driven by whoever holds it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::stream::{Heard, Stream};

type Driver = Connection<TokioIo<Stream>, Full<Bytes>>;

/// A connection and the half that sends on it.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// None once the connection has ended.
    driver: Option<Box<Driver>>,
    heard: Heard,
}

/// A request that got no answer.
pub(super) struct Unanswered {
    pub(super) error: Option<hyper::Error>,
    /// The upstream has sent nothing since the request: it may not have seen it.
    pub(super) unheard: bool,
}

impl Link {
    pub(super) fn new(sender: SendRequest<Full<Bytes>>, driver: Driver, heard: Heard) -> Self {
        Self { sender, driver: Some(Box::new(driver)), heard }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        self.heard.store(false, Ordering::Relaxed);
        let mut response = std::pin::pin!(self.sender.send_request(request));
        let answer = std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = response.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(Some));
            }
            let ended = drive(&mut self.driver, cx).is_ready();
            // What the driver has just read may be the answer, or the reason why there is none.
            match response.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(Some)),
                Poll::Pending if ended => Poll::Ready(Err(None)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        answer.map_err(|error| Unanswered { error, unheard: !self.heard.load(Ordering::Relaxed) })
    }

    /// Moves bytes in both directions as far as they go. Ready once the connection has ended.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        drive(&mut self.driver, cx)
    }

    /// Whether another request can be sent; looks at the socket, so that a connection which the upstream has closed
    /// meanwhile is noticed.
    pub(super) fn is_usable(&mut self) -> bool {
        // Nobody waits: the next look is at the next check-out or sweep.
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_drive(&mut cx).is_pending() && self.sender.is_ready()
    }
}

fn drive(driver: &mut Option<Box<Driver>>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(connection) = driver else { return Poll::Ready(()) };
    match Pin::new(connection.as_mut()).poll(cx) {
        Poll::Pending => Poll::Pending,
        // How it ended reaches the body or the answer; here it is only over.
        Poll::Ready(_) => {
            *driver = None;
            Poll::Ready(())
        }
    }
}
