//! Opening a stream: from the request to the upstream's first token, while another target can still be asked.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::error_answer::{no_stream, refusal};
use super::event_kind::{Meaning, classify};
use super::memory::Memory;
use super::sniff::{Kind, sniff};
use super::timeouts::Limit;
use super::usage_fallback::ask_for_usage;
use crate::bound::Grant;
use crate::time::{ResponseDeadline, TaskTimer, timeout_at};
use crate::upstream::{Failure, Media, Target, UpstreamBody, UpstreamRequest, UpstreamResponse};
use crate::wire::chunk::{ChunkParser, DecodedChunk};
use crate::wire::request::{ChatRequest, ForwardedBody, RequestedUsage};
use crate::wire::sse::{Decoder, Event};

/// Longest time that a beginning without a token is held back once it is there. What fails at once behind it can still be
/// tried elsewhere; and no client misses a role for so long.
const SETTLING: Duration = Duration::from_millis(100);
/// Most chunks that are held back until a token comes.
const MAX_HELD: usize = 16;

/// A stream that has begun.
pub(super) struct Opened {
    pub(super) target: Arc<Target>,
    pub(super) body: UpstreamBody,
    /// Holds what came with the last chunk.
    pub(super) decoder: Decoder,
    pub(super) looker: ChunkParser,
    /// The chunks that came so far. The last one has the first token, or ends a choice; or none did within
    /// [`SETTLING`].
    pub(super) held: Vec<(Event, DecodedChunk)>,
    /// Usage on every chunk was asked for, by us and not by the client.
    pub(super) running: bool,
    pub(super) memory: Memory,
}

/// What a client asked for, and what is the same for every target that is asked.
pub(super) struct ProxyRequest {
    pub(super) request: ChatRequest,
    pub(super) client: HeaderMap,
    /// Held as long as the request's body is.
    #[expect(dead_code, reason = "it acts by being dropped")]
    pub(super) memory: Grant,
    pub(super) ends_at: ResponseDeadline,
    pub(super) timer: TaskTimer,
    /// When the request arrived.
    pub(super) arrival: Instant,
    pub(super) frame_limit: usize,
    /// Of the memory for answers, for this key: nothing yet.
    pub(super) answer: Grant,
}

impl ProxyRequest {
    fn asks_running(&self, target: &Target) -> bool {
        target.ask_usage() == RequestedUsage::Continuous && !self.request.include_usage
    }
}

/// Asks `target` for a stream and waits for its first token, or a moment longer than for its first event. `another` says
/// whether another target can take over.
pub(super) async fn open(target: Arc<Target>, order: &ProxyRequest, another: bool) -> Result<Opened, Failure> {
    let adds_usage = target.ask_usage() != RequestedUsage::None && !order.request.include_usage;
    let limit = Limit::to_open(target.timeouts(), order.arrival, Instant::now(), another);
    let ask = |usage| open_once(&target, order.request.forward(target.model(), usage), order);
    let mut opened = ask_for_usage(&target, adds_usage, (&order.timer, limit), ask).await?;
    opened.settle(order).await?;
    Ok(opened)
}

async fn open_once(target: &Arc<Target>, body: ForwardedBody<'_>, order: &ProxyRequest) -> Result<Opened, Failure> {
    let answer = target.send(&UpstreamRequest { body, stream: true, client: &order.client }).await?;
    let (body, begin) = check_head(target, answer).await?;
    let mut opened = Opened {
        target: Arc::clone(target),
        body,
        decoder: Decoder::new(order.frame_limit),
        looker: ChunkParser::default(),
        held: Vec::new(),
        running: order.asks_running(target),
        memory: Memory::new(order.answer.sibling()),
    };
    opened.decoder.push(begin);
    opened.read_until(order.frame_limit, |facts| !facts.seen.is_empty()).await?;
    Ok(opened)
}

impl Opened {
    /// Waits a moment for the first token, if it has not come: a beginning without one is often followed by an error.
    async fn settle(&mut self, order: &ProxyRequest) -> Result<(), Failure> {
        let most = order.frame_limit;
        let is_token = |facts: &DecodedChunk| facts.tokens > 0 || !facts.finished.is_empty();
        if self.held.last().is_some_and(|(_, facts)| is_token(facts)) || self.is_full(most) {
            return Ok(());
        }
        let until = Instant::now() + SETTLING;
        timeout_at(&order.timer, until, pin!(self.read_until(most, is_token))).await.unwrap_or(Ok(()))
    }

    /// How much is held back, bytes.
    fn held_back(&self) -> usize {
        self.held.iter().map(|(event, _)| event.data.len()).sum()
    }

    /// Whether no more is held back than this, whatever it is: a beginning without end is an answer of its own.
    fn is_full(&self, most: usize) -> bool {
        self.held.len() >= MAX_HELD || self.held_back() > most
    }

    /// Reads on until a chunk comes that is `enough`. An error is a failure like any other while nothing has been sent, and
    /// so is the end of what has not begun. May be dropped at any time and begun anew.
    async fn read_until(&mut self, most: usize, enough: impl Fn(&DecodedChunk) -> bool) -> Result<(), Failure> {
        loop {
            while let Some(event) = self.decoder.next_event().map_err(|_| too_long())? {
                match classify(&self.target, &event, &mut self.looker) {
                    Meaning::Nothing => {}
                    Meaning::Done => return Err(Failure::Empty("its stream is empty")),
                    Meaning::Failure(failure) => return Err(failure),
                    Meaning::Chunk(facts) => {
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

    /// The bytes are over. The last event may lack its blank line; one that was cut is none.
    fn finish(&mut self, enough: impl Fn(&DecodedChunk) -> bool) -> Result<(), Failure> {
        let last = self.decoder.finish().map_err(|_| too_long())?.ok_or(Failure::Closed)?;
        match classify(&self.target, &last, &mut self.looker) {
            Meaning::Done => Err(Failure::Empty("its stream is empty")),
            Meaning::Failure(failure @ Failure::Refused(_)) => Err(failure),
            Meaning::Chunk(facts) if enough(&facts) => {
                self.held.push((last, facts));
                Ok(())
            }
            _ => Err(Failure::Closed),
        }
    }
}

/// Whether what comes can be a stream of events: by its first bytes, and only if those say nothing by its label. Gives the
/// body and what has been read of it.
async fn check_head(target: &Target, mut answer: UpstreamResponse) -> Result<(UpstreamBody, Bytes), Failure> {
    if !answer.status.is_success() {
        return Err(Box::pin(refusal(target, answer)).await);
    }
    if answer.is_encoded {
        return Err(Failure::Malformed("its stream is encoded although that was not asked for"));
    }
    let (kind, begin) = sniff(&mut answer.body).await?;
    match (kind, answer.media) {
        (Kind::Events, _) | (Kind::Other, Media::Events) => Ok((answer.body, begin)),
        (Kind::Json, _) => Err(Box::pin(no_stream(target, answer, begin)).await),
        (Kind::Other, _) => Err(Failure::Malformed("it is no event stream")),
    }
}

/// An event that no buffer is made for.
pub(super) const fn too_long() -> Failure {
    Failure::Malformed("an event is longer than the limit")
}
