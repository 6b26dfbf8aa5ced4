//! One request, one answer, on a kept connection or a new one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;

use super::answer::{Answer, AnswerBody};
use super::failure::Failure;
use super::link::Link;
use super::target::{Ask, Target};

/// How soon after a request a kept connection must break for the request to be taken as never seen. An upstream that
/// works on it and then dies breaks the connection too.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// Posts a chat completion to `target` and waits for the head of the answer.
///
/// A kept connection that the upstream had closed before it saw the request is replaced in silence, once: nothing was
/// answered, so nothing can have been done twice (RFC 9112, section 9.3.1).
pub(super) async fn exchange(target: &Arc<Target>, ask: &Ask<'_>) -> Result<Answer, Failure> {
    if let Some(mut link) = target.pool().take() {
        let sent = Instant::now();
        match link.send(request(target, ask)).await {
            Ok(response) => return Ok(answer(response, link, target)),
            Err(unanswered) if unanswered.unheard && sent.elapsed() < STALE_WITHIN => {}
            Err(unanswered) => return Err(failure(unanswered.error.as_ref())),
        }
    }
    // On the heap: a handshake takes much room, and kept connections need none.
    let mut link = Box::pin(target.dialer().dial()).await?;
    match link.send(request(target, ask)).await {
        Ok(response) => Ok(answer(response, link, target)),
        Err(unanswered) => Err(failure(unanswered.error.as_ref())),
    }
}

fn request(target: &Target, ask: &Ask<'_>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.chat_path().clone();
    *request.headers_mut() = target.headers_for(ask);
    request
}

fn answer(response: http::Response<hyper::body::Incoming>, link: Link, target: &Arc<Target>) -> Answer {
    let (head, incoming) = response.into_parts();
    Answer { status: head.status, headers: head.headers, body: AnswerBody::new(incoming, link, Arc::clone(target)) }
}

fn failure(error: Option<&hyper::Error>) -> Failure {
    error.map_or(Failure::Closed, Failure::of_hyper)
}
