//! From an upstream's events to the client's frames.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::choices::Choices;
use super::event_kind::{Meaning, classify};
use super::frame_buffer::FrameBuffer;
use super::memory::Memory;
use super::open::{Opened, ProxyRequest, too_long};
use super::timeouts::longest_silence;
use super::usage_guard::UsageGuard;
use crate::upstream::{Failure, Target, UpstreamBody};
use crate::wire::chunk::{ChunkParser, DecodedChunk, ToolCallNumbering, last_chunk, push_repaired};
use crate::wire::sse::{Decoder, Event, push_frame};

/// How many chunks may leave open which model answers: the first one of Azure does.
const CHUNKS_WITHOUT_MODEL: u8 = 4;

/// What holds for a whole stream.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The client did not ask for usage: what we asked for is not its business.
    hide_usage: bool,
    choices: u64,
    /// End the stream when its key's tokens are used up.
    stop_at_budget: bool,
}

impl Terms {
    pub(super) const fn of(order: &ProxyRequest, stop_at_budget: bool) -> Self {
        let request = &order.request;
        Self { hide_usage: !request.include_usage, choices: request.n, stop_at_budget }
    }
}

/// How a stream ends.
pub(super) enum End {
    Done,
    Failed(Failure),
    /// The server is going away.
    Shutdown,
    /// The key's tokens are used up.
    BudgetUsedUp,
}

/// Reads an upstream's stream and collects what goes out.
pub(super) struct StreamTranscoder {
    target: Arc<Target>,
    body: UpstreamBody,
    decoder: Decoder,
    looker: ChunkParser,
    /// The chunks that opened the stream.
    first: std::vec::IntoIter<(Event, DecodedChunk)>,
    outbox: FrameBuffer,
    /// Since when we have been waiting for the upstream. None while we have not been: time in which the client holds
    /// us back does not count against the upstream.
    waiting_since: Option<Instant>,
    last_data: Instant,
    choices: Choices,
    calls: ToolCallNumbering,
    terms: Terms,
    /// Usage on every chunk was asked for by us alone.
    running: bool,
    /// The first chunk, kept only where a last one may have to be made after its pattern.
    head: Option<Bytes>,
    /// There was a token.
    has_spoken: bool,
    /// So many more chunks are looked at for the model that answers.
    nameless: u8,
    memory: Memory,
}

impl StreamTranscoder {
    pub(super) fn new(opened: Opened, terms: Terms, now: Instant) -> Self {
        let head = opened.held.iter().find(|(_, facts)| !facts.seen.is_empty());
        Self {
            head: head.filter(|_| terms.stop_at_budget).map(|(event, _)| event.data.clone()),
            target: opened.target,
            body: opened.body,
            decoder: opened.decoder,
            looker: opened.looker,
            has_spoken: false,
            nameless: CHUNKS_WITHOUT_MODEL,
            first: opened.held.into_iter(),
            outbox: FrameBuffer::default(),
            waiting_since: None,
            last_data: now,
            choices: Choices::new(terms.choices),
            calls: ToolCallNumbering::default(),
            running: opened.running,
            memory: opened.memory,
            terms,
        }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(super) fn take_output(&mut self) -> Bytes {
        self.waiting_since = None;
        self.memory.keep(self.outbox.take())
    }

    /// What is left to send, and the memory that it takes. A stream that is done may leave its connection for others; any other one is closed.
    pub(super) fn into_output(mut self, end: &End, account: &mut UsageGuard) -> (BytesMut, Memory) {
        self.pass_held(account);
        if matches!(end, End::BudgetUsedUp) {
            self.finish_choices();
        }
        let rest = self.outbox.take();
        if matches!(end, End::Done) {
            self.body.finish();
        }
        (BytesMut::from(rest), self.memory)
    }

    /// Says of every choice that has not finished that it reached a limit.
    fn finish_choices(&mut self) {
        let Some(head) = self.head.take() else { return };
        for index in self.choices.unfinished().iter() {
            if let Some(chunk) = last_chunk(&head, index) {
                push_frame(self.outbox.write(), chunk.as_bytes());
            }
        }
    }

    /// When an upstream that has nothing to read has been silent for too long. The silence begins `now` if it has not yet.
    pub(super) fn silent_until(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.waiting_since.get_or_insert(now);
        longest_silence(self.target.timeouts(), self.has_spoken).map(|longest| since + longest)
    }

    /// Collects what is ready `now`, up to a batch. Ready with how the stream ends, if it does; pending when the upstream
    /// has nothing more right now.
    pub(super) fn poll_collect(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        account: &mut UsageGuard,
    ) -> Poll<Option<End>> {
        loop {
            while let Some(end) = self.poll_event(account) {
                if end.is_some() || self.outbox.is_full() {
                    return Poll::Ready(end);
                }
                if self.terms.stop_at_budget && !account.can_afford() {
                    return Poll::Ready(Some(End::BudgetUsedUp));
                }
            }
            match self.body.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    self.waiting_since = None;
                    let gap = now - std::mem::replace(&mut self.last_data, now);
                    account.gap(gap, now);
                    self.decoder.push(data);
                    if let Err(failure) = self.memory.hold(self.decoder.held()) {
                        return Poll::Ready(Some(End::Failed(failure)));
                    }
                }
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(self.at_end(account, Some(failure)))),
                Poll::Ready(None) => return Poll::Ready(Some(self.at_end(account, None))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Passes the next event on, if there is one, and says whether the stream ends with it.
    fn poll_event(&mut self, account: &mut UsageGuard) -> Option<Option<End>> {
        if let Some((event, facts)) = self.first.next() {
            self.admit(event, &facts, account);
            return Some(None);
        }
        match self.decoder.next_event() {
            Ok(event) => event.map(|event| self.take(event, account)),
            Err(_) => Some(Some(End::Failed(too_long()))),
        }
    }

    /// Passes one event on, or says how it ends the stream.
    fn take(&mut self, event: Event, account: &mut UsageGuard) -> Option<End> {
        match classify(&self.target, &event, &mut self.looker) {
            Meaning::Nothing => None,
            // Nothing was said, and nothing ended: no answer, whatever the upstream calls it.
            Meaning::Done if !self.has_spoken && self.choices.none_finished() => {
                Some(End::Failed(Failure::Empty("its stream is empty")))
            }
            Meaning::Done => Some(End::Done),
            Meaning::Failure(failure) => Some(End::Failed(failure)),
            Meaning::Chunk(facts) => {
                self.admit(event, &facts, account);
                None
            }
        }
    }

    /// Takes down which model answers, once it is said.
    fn note_model(&mut self, event: &Event, account: &mut UsageGuard) {
        self.nameless -= 1;
        account.answered_with(&event.data);
        if account.knows_who_answers() {
            self.nameless = 0;
        }
    }

    /// Passes a chunk on when it is its turn, and then those that have waited for it.
    fn admit(&mut self, event: Event, facts: &DecodedChunk, account: &mut UsageGuard) {
        if self.nameless > 0 {
            self.note_model(&event, account);
        }
        self.choices.note(facts);
        if self.choices.must_wait(facts) {
            if self.choices.hold(event, *facts) {
                self.pass_held(account);
            }
            return;
        }
        if self.choices.held() > 0 && facts.seen.is_empty() && facts.usage.is_some() {
            // Counts come last.
            self.pass_held(account);
        }
        self.pass(&event, facts, account);
        while self.choices.held() > 0 {
            let before = self.choices.held();
            for (event, facts) in self.choices.take_held() {
                if self.choices.must_wait(&facts) {
                    self.choices.hold(event, facts);
                } else {
                    self.pass(&event, &facts, account);
                }
            }
            if self.choices.held() == before {
                break;
            }
        }
    }

    /// Passes on what has waited, in the order in which it came.
    fn pass_held(&mut self, account: &mut UsageGuard) {
        for (event, facts) in self.choices.take_held() {
            self.pass(&event, &facts, account);
        }
    }

    fn pass(&mut self, event: &Event, facts: &DecodedChunk, account: &mut UsageGuard) {
        if let Some(usage) = facts.usage {
            account.told(usage, self.choices.is_over(facts));
        }
        let hide_usage = self.terms.hide_usage;
        if hide_usage && (facts.has_usage || !facts.has_choices) && self.choices.is_only_usage(facts, self.running) {
            return;
        }
        if facts.tokens > 0 {
            account.counted(u64::from(facts.tokens));
            if !std::mem::replace(&mut self.has_spoken, true) {
                account.first_token();
            }
        }
        let repair = self.choices.repair(facts, hide_usage);
        self.choices.passed(facts);
        if !repair.is_nothing() {
            push_repaired(self.outbox.write(), event, facts, &repair, &mut self.calls);
            return;
        }
        match &event.verbatim {
            Some(frame) => self.outbox.pass(frame.clone()),
            None => push_frame(self.outbox.write(), &event.data),
        }
    }

    /// The upstream's bytes are over, in good order or with a failure.
    fn at_end(&mut self, account: &mut UsageGuard, failure: Option<Failure>) -> End {
        // Some servers forget the blank line after their last frame. A frame that was cut is no JSON and is left out.
        if let Ok(Some(event)) = self.decoder.finish()
            && self.looker.parse(&event.data).is_ok()
            && let Some(end) = self.take(event, account)
        {
            return end;
        }
        match failure {
            // Others leave out `[DONE]`; an answer whose choices have all finished is complete without it.
            None if self.choices.all_finished() => End::Done,
            None => End::Failed(Failure::Closed),
            Some(failure) => End::Failed(failure),
        }
    }
}
