//! From an upstream's events to the client's frames: repaired, in the order of their choices, without usage that the
//! client did not request.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::choices::Choices;
use super::client_format::ClientFormat;
use super::event_reader::{EventKind, EventReader};
use super::frame_buffer::FrameBuffer;
use super::memory::Memory;
use super::open::{Opened, too_long};
use super::proxy_request::ProxyRequest;
use super::timeouts::longest_silence;
use super::usage_guard::UsageGuard;
use crate::upstream::{Failure, Target, UpstreamBody};
use crate::wire::chunk::{ChoiceShape, DecodedChunk, ToolCallNumbering, last_chunk, push_repaired};
use crate::wire::sse::{Decoder, Event, push_frame};
use crate::wire::translation::TranslationError;

/// Chunks that are searched for the name of the model: the first one of Azure has none.
const CHUNKS_WITHOUT_MODEL: u8 = 4;

/// The options of a stream, by its request and the configuration.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The client did not request usage: usage that petstream requested is removed.
    hide_usage: bool,
    choices: u64,
    shape: ChoiceShape,
    /// End the stream when its key's tokens are used up.
    stop_at_budget: bool,
}

impl Terms {
    pub(super) const fn of(request: &ProxyRequest, stop_at_budget: bool) -> Self {
        let hide_usage = !request.shows_usage();
        let request = &request.request;
        let shape = ChoiceShape::of_chunks(request.operation);
        Self { hide_usage, choices: request.n, shape, stop_at_budget }
    }
}

/// How a stream ends.
pub(super) enum End {
    Done,
    Failed(Failure),
    /// The server shuts down.
    Shutdown,
    /// The key's tokens are used up.
    BudgetUsedUp,
}

/// What remains of a stream at its end.
pub(super) struct Rest {
    /// Frames that were received.
    pub(super) out: BytesMut,
    /// Of the memory for answers.
    pub(super) memory: Memory,
    pub(super) format: ClientFormat,
    pub(super) reader: EventReader,
}

/// Reads an upstream's stream and collects the client's frames.
pub(super) struct StreamTranscoder {
    target: Arc<Target>,
    body: UpstreamBody,
    decoder: Decoder,
    reader: EventReader,
    format: ClientFormat,
    /// Why the stream can't be translated any further.
    untranslatable: Option<TranslationError>,
    /// The chunks that opened the stream.
    first: std::vec::IntoIter<(Event, DecodedChunk)>,
    frames: FrameBuffer,
    /// The start of the upstream's silence; none while there is data to read. Time in which the client reads nothing
    /// is not counted.
    waiting_since: Option<Instant>,
    last_data: Instant,
    choices: Choices,
    calls: ToolCallNumbering,
    terms: Terms,
    /// petstream requested usage on every chunk, and the client did not.
    adds_running_usage: bool,
    /// The first chunk, as the template for last chunks that petstream adds. None where none can be necessary.
    head: Option<Bytes>,
    /// A token was passed on.
    has_token: bool,
    /// A token or the end of a choice has come from the upstream, passed on or held back.
    has_begun: bool,
    /// Further chunks to search for the name of the model.
    search_model: u8,
    memory: Memory,
}

impl StreamTranscoder {
    pub(super) fn new(opened: Box<Opened>, format: ClientFormat, terms: Terms, now: Instant) -> Self {
        let opened = *opened;
        let head = opened.held.iter().find(|(_, facts)| !facts.seen.is_empty());
        Self {
            head: head.filter(|_| terms.stop_at_budget).map(|(event, _)| event.data.clone()),
            target: opened.target,
            body: opened.body,
            decoder: opened.decoder,
            reader: opened.reader,
            format,
            untranslatable: None,
            has_token: false,
            has_begun: false,
            search_model: CHUNKS_WITHOUT_MODEL,
            first: opened.held.into_iter(),
            frames: FrameBuffer::default(),
            waiting_since: None,
            last_data: now,
            choices: Choices::new(terms.choices, terms.shape),
            calls: ToolCallNumbering::default(),
            adds_running_usage: opened.adds_running_usage,
            memory: opened.memory,
            terms,
        }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.frames.is_empty()
    }

    pub(super) fn take_output(&mut self) -> Bytes {
        self.waiting_since = None;
        self.memory.keep(self.frames.take())
    }

    pub(super) const fn format(&self) -> &ClientFormat {
        &self.format
    }

    /// What remains. The upstream's connection is kept if the stream is complete, otherwise closed.
    pub(super) fn into_rest(mut self, end: &End, usage: &mut UsageGuard) -> Rest {
        self.pass_held(usage);
        if matches!(end, End::BudgetUsedUp) {
            self.finish_choices();
        }
        let rest = self.frames.take();
        if matches!(end, End::Done) {
            self.body.finish();
        }
        Rest { out: BytesMut::from(rest), memory: self.memory, format: self.format, reader: self.reader }
    }

    /// Finishes every choice of chunks that has not finished, with `length` as the reason.
    fn finish_choices(&mut self) {
        let Some(head) = self.head.take() else { return };
        if !matches!(self.format, ClientFormat::Chunks) {
            return;
        }
        for index in self.choices.unfinished().iter() {
            if let Some(chunk) = last_chunk(&head, self.terms.shape, index) {
                push_frame(self.frames.write(), chunk.as_bytes());
            }
        }
    }

    /// The deadline of the current silence of the upstream, which starts `now` if it has not started yet.
    pub(super) fn silent_until(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.waiting_since.get_or_insert(now);
        longest_silence(self.target.timeouts(), self.has_begun).map(|longest| since + longest)
    }

    /// Collects the frames that are ready `now`, up to a batch. Ready with the end of the stream, if it ends; pending
    /// when the upstream has no more data at the moment.
    pub(super) fn poll_collect(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        usage: &mut UsageGuard,
    ) -> Poll<Option<End>> {
        loop {
            while let Some(end) = self.poll_event(usage) {
                if end.is_some() || self.frames.is_full() {
                    return Poll::Ready(end);
                }
                if self.terms.stop_at_budget && !usage.can_afford() {
                    return Poll::Ready(Some(End::BudgetUsedUp));
                }
            }
            match self.body.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    self.waiting_since = None;
                    let gap = now - std::mem::replace(&mut self.last_data, now);
                    usage.interval(gap, now);
                    self.decoder.push(data);
                    if let Err(failure) = self.memory.hold(self.decoder.held() + self.format.held()) {
                        return Poll::Ready(Some(End::Failed(failure)));
                    }
                }
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(self.at_end(usage, Some(failure)))),
                Poll::Ready(None) => return Poll::Ready(Some(self.at_end(usage, None))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Passes the next event on, if there is one. Returns the end of the stream if the event ends it.
    fn poll_event(&mut self, usage: &mut UsageGuard) -> Option<Option<End>> {
        if let Some((event, facts)) = self.first.next() {
            if self.first.as_slice().is_empty() {
                // Frees the memory of the list: the stream may be silent for long from here on.
                self.first = Vec::new().into_iter();
            }
            return Some(self.admit_or_end(event, &facts, usage));
        }
        match self.decoder.next_event() {
            Ok(event) => event.map(|event| self.take(event, usage)),
            Err(_) => Some(Some(End::Failed(too_long()))),
        }
    }

    /// Passes one event on. Returns the end of the stream if the event ends it.
    fn take(&mut self, event: Event, usage: &mut UsageGuard) -> Option<End> {
        match self.reader.classify(&self.target, &event) {
            EventKind::Ignored => None,
            // `[DONE]` without a token and without a finished choice: an empty answer, which is a failure.
            EventKind::Done if !self.has_token && self.choices.none_finished() => {
                Some(End::Failed(Failure::Empty("its stream is empty")))
            }
            EventKind::Done => Some(End::Done),
            EventKind::Failure(failure) => Some(End::Failed(failure)),
            EventKind::Chunk(facts) => self.admit_or_end(event, &facts, usage),
        }
    }

    /// Admits a chunk. Returns the end of the stream if the chunk is its last one, or can't be translated.
    fn admit_or_end(&mut self, event: Event, facts: &DecodedChunk, usage: &mut UsageGuard) -> Option<End> {
        let is_last = self.reader.ends_with_choice() && !facts.finished.is_empty();
        self.admit(event, facts, usage);
        match self.untranslatable {
            Some(TranslationError::Malformed) => {
                Some(End::Failed(Failure::Malformed("it can't be translated to the API of the request")))
            }
            Some(TranslationError::TooLong) => {
                Some(End::Failed(Failure::Malformed("it is too long to be translated to the API of the request")))
            }
            None => is_last.then_some(End::Done),
        }
    }

    /// Records the model that answers, if the chunk names it.
    fn note_model(&mut self, event: &Event, usage: &mut UsageGuard) {
        self.search_model -= 1;
        usage.note_model_name(self.reader.model(event));
        if usage.knows_model() {
            self.search_model = 0;
        }
    }

    /// Passes a chunk on when it is its turn, and then those that have waited for it.
    fn admit(&mut self, event: Event, facts: &DecodedChunk, usage: &mut UsageGuard) {
        if self.search_model > 0 {
            self.note_model(&event, usage);
        }
        self.has_begun |= facts.tokens > 0 || !facts.finished.is_empty();
        self.choices.note(facts);
        if self.choices.must_wait(facts) {
            if self.choices.hold(event, *facts) {
                self.pass_held(usage);
            }
            return;
        }
        if self.choices.held() > 0 && facts.seen.is_empty() && facts.usage.is_some() {
            // Usage comes last.
            self.pass_held(usage);
        }
        self.pass(&event, facts, usage);
        while self.choices.held() > 0 {
            let before = self.choices.held();
            for (event, facts) in self.choices.take_held() {
                if self.choices.must_wait(&facts) {
                    self.choices.hold(event, facts);
                } else {
                    self.pass(&event, &facts, usage);
                }
            }
            if self.choices.held() == before {
                break;
            }
        }
    }

    /// Passes on what has waited, in the order in which it came.
    fn pass_held(&mut self, usage: &mut UsageGuard) {
        for (event, facts) in self.choices.take_held() {
            self.pass(&event, &facts, usage);
        }
    }

    fn pass(&mut self, event: &Event, facts: &DecodedChunk, usage: &mut UsageGuard) {
        if let Some(reported) = facts.usage {
            usage.report(reported, self.choices.is_over(facts));
        }
        let hide_usage = self.terms.hide_usage;
        if hide_usage
            && (facts.has_usage || !facts.has_choices)
            && self.choices.is_only_usage(facts, self.adds_running_usage)
        {
            return;
        }
        if facts.tokens > 0 {
            usage.count(u64::from(facts.tokens));
            if !std::mem::replace(&mut self.has_token, true) {
                usage.first_token();
            }
        }
        if !matches!(self.format, ClientFormat::Chunks) {
            if let (true, Some(frame)) = (self.format.is_native(), &event.verbatim) {
                self.frames.push(frame.clone());
            } else if self.untranslatable.is_none() {
                self.untranslatable = self.format.write(event, self.frames.write()).err();
            }
            return;
        }
        let repair = self.choices.repair(facts, hide_usage);
        self.choices.passed(facts);
        if !repair.is_nothing() {
            push_repaired(self.frames.write(), event, facts, &repair, &mut self.calls);
            return;
        }
        match &event.verbatim {
            // Chunks have no names.
            Some(frame) if event.name.is_none() => self.frames.push(frame.clone()),
            _ => push_frame(self.frames.write(), &event.data),
        }
    }

    /// The end of the upstream's body, or its failure.
    fn at_end(&mut self, usage: &mut UsageGuard, failure: Option<Failure>) -> End {
        // Some servers omit the blank line after their last frame. A truncated frame is no JSON and is left out.
        if let Ok(Some(event)) = self.decoder.finish()
            && self.reader.is_whole(&event.data)
            && let Some(end) = self.take(event, usage)
        {
            return end;
        }
        match failure {
            // Others omit `[DONE]`; an answer whose choices have all finished is complete without it.
            None if self.choices.all_finished() => End::Done,
            None => End::Failed(Failure::Closed),
            Some(failure) => End::Failed(failure),
        }
    }
}
