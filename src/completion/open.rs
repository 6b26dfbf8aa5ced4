//! Opens a stream at one target: from the request to the first token, while nothing has reached the client.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error_response::{no_stream, refusal};
use super::event_reader::{EventKind, EventReader};
use super::memory::Memory;
use super::proxy_request::ProxyRequest;
use super::sniff::{Kind, sniff};
use super::timeouts::Limit;
use super::usage_fallback::ask_for_usage;
use crate::time::timeout_at;
use crate::upstream::{Failure, Media, Target, UpstreamBody, UpstreamRequest, UpstreamResponse};
use crate::wire::chunk::DecodedChunk;
use crate::wire::operation::{Operation, Resource};
use crate::wire::request::ForwardedBody;
use crate::wire::sse::{Decoder, Event};

/// How long the first chunks are held back for a token. Upstreams often fail right behind a first chunk without one,
/// and then another target can still take over.
const SETTLE_TIME: Duration = Duration::from_millis(100);
/// Most chunks that are held back until a token comes.
const MAX_HELD: usize = 16;

/// A stream that has begun. On the heap: it passes through the futures of all that may retry it.
pub(super) struct Opened {
    pub(super) target: Arc<Target>,
    pub(super) body: UpstreamBody,
    /// Holds what came with the last chunk.
    pub(super) decoder: Decoder,
    pub(super) reader: EventReader,
    /// The chunks that came so far. The last one has the first token, or ends a choice; or none did within
    /// [`SETTLE_TIME`].
    pub(super) held: Vec<(Event, DecodedChunk)>,
    /// petstream requested usage on every chunk, and the client did not.
    pub(super) adds_running_usage: bool,
    pub(super) memory: Memory,
}

/// Opens a stream at `target`: waits for its first token, or for [`SETTLE_TIME`] after its first event. `another`:
/// another target can take over.
pub(super) async fn open(target: Arc<Target>, request: &ProxyRequest, another: bool) -> Result<Box<Opened>, Failure> {
    let limit = Limit::to_open(target.timeouts(), request.arrival, request.timer.now(), another);
    let ask = |usage| open_once(&target, request.request.forward(target.model(), usage), request);
    let mut opened = ask_for_usage(&target, request.adds_usage(&target), (&request.timer, limit), ask).await?;
    opened.settle(request).await?;
    Ok(opened)
}

async fn open_once(
    target: &Arc<Target>,
    body: ForwardedBody<'_>,
    request: &ProxyRequest,
) -> Result<Box<Opened>, Failure> {
    let answer = target
        .send(&UpstreamRequest {
            resource: Resource::Answer(request.request.operation),
            body,
            stream: true,
            client: &request.client_headers,
        })
        .await?;
    let (body, begin) = check_head(target, request.request.operation, answer).await?;
    let mut opened = Box::new(Opened {
        target: Arc::clone(target),
        body,
        decoder: Decoder::new(request.frame_limit),
        reader: EventReader::new(request.request.operation),
        held: Vec::new(),
        adds_running_usage: request.adds_running_usage(target),
        memory: Memory::new(request.answer_memory.sibling()),
    });
    opened.decoder.push(begin);
    opened.read_until(request.frame_limit, |facts| !facts.seen.is_empty()).await?;
    Ok(opened)
}

impl Opened {
    /// Waits up to [`SETTLE_TIME`] for the first token, if it has not come.
    async fn settle(&mut self, request: &ProxyRequest) -> Result<(), Failure> {
        let most = request.frame_limit;
        let is_token = |facts: &DecodedChunk| facts.tokens > 0 || !facts.finished.is_empty();
        if self.held.last().is_some_and(|(_, facts)| is_token(facts)) || self.is_full(most) {
            return Ok(());
        }
        let until = request.timer.now() + SETTLE_TIME;
        timeout_at(&request.timer, until, pin!(self.read_until(most, is_token))).await.unwrap_or(Ok(()))
    }

    /// Bytes that are held back.
    fn held_back(&self) -> usize {
        self.held.iter().map(|(event, _)| event.data.len()).sum()
    }

    /// Whether the bounds are reached: then the held chunks are passed on without a token.
    fn is_full(&self, most: usize) -> bool {
        self.held.len() >= MAX_HELD || self.held_back() > most
    }

    /// Reads on until a chunk comes that is `enough`. An error event is a failure, and so is the end of the stream.
    /// May be dropped at any time and called again.
    async fn read_until(&mut self, most: usize, enough: impl Fn(&DecodedChunk) -> bool) -> Result<(), Failure> {
        loop {
            while let Some(event) = self.decoder.next_event().map_err(|_| too_long())? {
                match self.reader.classify(&self.target, &event) {
                    EventKind::Ignored => {}
                    EventKind::Done => return Err(Failure::Empty("its stream is empty")),
                    EventKind::Failure(failure) => return Err(failure),
                    EventKind::Chunk(facts) => {
                        self.held.push((event, facts));
                        if enough(&facts) || self.is_full(most) {
                            return Ok(());
                        }
                    }
                }
            }
            match self.body.data().await {
                Some(data) => {
                    self.decoder.push(data?);
                    self.memory.hold(self.decoder.held() + self.held_back())?;
                }
                None => return self.finish(enough),
            }
        }
    }

    /// The end of the body. The last event may lack its blank line; a truncated one is none.
    fn finish(&mut self, enough: impl Fn(&DecodedChunk) -> bool) -> Result<(), Failure> {
        let last = self.decoder.finish().map_err(|_| too_long())?.ok_or(Failure::Closed)?;
        match self.reader.classify(&self.target, &last) {
            EventKind::Done => Err(Failure::Empty("its stream is empty")),
            EventKind::Failure(failure @ Failure::Refused(_)) => Err(failure),
            EventKind::Chunk(facts) if enough(&facts) => {
                self.held.push((last, facts));
                Ok(())
            }
            _ => Err(Failure::Closed),
        }
    }
}

/// Checks that the body can be a stream of events: by its first bytes, and by its content type where they are
/// ambiguous. Returns the body and the bytes read from it.
async fn check_head(
    target: &Target,
    operation: Operation,
    mut answer: UpstreamResponse,
) -> Result<(UpstreamBody, Bytes), Failure> {
    if !answer.status.is_success() {
        return Err(Box::pin(refusal(target, operation, answer)).await);
    }
    if answer.is_encoded {
        return Err(Failure::Malformed("its stream is encoded although that was not asked for"));
    }
    let (kind, begin) = sniff(&mut answer.body).await?;
    match (kind, answer.media) {
        (Kind::Events, _) | (Kind::Other, Media::Events) => Ok((answer.body, begin)),
        (Kind::Json, _) => Err(Box::pin(no_stream(target, operation, answer, begin)).await),
        (Kind::Other, _) => Err(Failure::Malformed("it is no event stream")),
    }
}

/// An event longer than the limit.
pub(super) const fn too_long() -> Failure {
    Failure::Malformed("an event is longer than the limit")
}
