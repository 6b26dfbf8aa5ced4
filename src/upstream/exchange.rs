//! One request, one answer, on a kept connection or a new one.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::answer::{Answer, AnswerBody};
use super::connection::Link;
use super::failure::Failure;
use super::head::Head;
use super::request::Request;
use super::target::{Ask, Target};
use crate::time::clock;

/// How soon after a request a kept connection must break for the request to be taken as never seen. An upstream that
/// works on it and then dies breaks the connection too.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// Posts a chat completion to `target` and waits for the head of the answer.
///
/// Kept connections on which something has been received since their last answer, or which are closed, are given up, however
/// many they are: nothing was written to them. One that breaks on the request, or is answered 408, before the upstream can
/// have seen the request, is replaced in silence, once, by a new one: nothing was answered, so nothing can have been done
/// twice (RFC 9112, section 9.3.1; RFC 9110, section 15.5.9).
pub(super) async fn exchange(target: &Arc<Target>, ask: &Ask<'_>) -> Result<Answer, Failure> {
    while let Some(mut link) = target.pool().take() {
        let sent = clock::now();
        let is_early = || clock::now() - sent < STALE_WITHIN;
        match link.send(Request::of(target, ask)).await {
            Ok(head) if head.status == StatusCode::REQUEST_TIMEOUT && is_early() => break,
            Ok(head) => return Ok(answer(head, link, target)),
            Err(unanswered) if unanswered.unsent => {}
            Err(unanswered) if unanswered.unheard && is_early() => break,
            Err(unanswered) => return Err(unanswered.failure),
        }
    }
    // On the heap: a handshake takes much room, and kept connections need none.
    let mut link = Box::pin(target.dialer().dial()).await?;
    match link.send(Request::of(target, ask)).await {
        Ok(head) => Ok(answer(head, link, target)),
        Err(unanswered) => Err(unanswered.failure),
    }
}

fn answer(head: Head, link: Box<Link>, target: &Arc<Target>) -> Answer {
    let Head { status, media, is_encoded, retry_after, framing, is_kept } = head;
    let body = AnswerBody::new(framing, link, is_kept.then(|| Arc::clone(target)));
    Answer { status, media, is_encoded, retry_after, body }
}
