//! From an upstream's events to the client's frames.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::account::Account;
use super::classify::{Meaning, classify};
use super::open::{Opened, Order, too_long};
use super::outbox::Outbox;
use crate::upstream::{AnswerBody, Failure, Target};
use crate::wire::chunk::{Facts, Looker, is_without_text, last_chunk, push_without};
use crate::wire::sse::{Decoder, Event, push_frame};

/// Most choices that the contract knows.
const MOST_CHOICES: usize = 128;

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
    pub(super) const fn of(order: &Order, stop_at_budget: bool) -> Self {
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
pub(super) struct Collector {
    target: Arc<Target>,
    body: AnswerBody,
    decoder: Decoder,
    looker: Looker,
    /// The event that opened the stream.
    first: Option<(Event, Facts)>,
    outbox: Outbox,
    /// Since when we have been waiting for the upstream. None while we have not been: time in which the client holds
    /// us back does not count against the upstream.
    waiting_since: Option<Instant>,
    last_data: Instant,
    choices: Choices,
    terms: Terms,
    /// Usage on every chunk was asked for by us alone.
    running: bool,
    /// The first chunk, kept only where a last one may have to be made after its pattern.
    head: Option<Bytes>,
    /// No chunk has been counted yet.
    fresh: bool,
}

impl Collector {
    pub(super) fn new(opened: Opened, terms: Terms, now: Instant) -> Self {
        Self {
            target: opened.target,
            body: opened.body,
            decoder: opened.decoder,
            looker: opened.looker,
            head: terms.stop_at_budget.then(|| opened.first.0.data.clone()),
            fresh: true,
            first: Some(opened.first),
            outbox: Outbox::default(),
            waiting_since: None,
            last_data: now,
            choices: Choices { wanted: terms.choices, ..Choices::default() },
            running: opened.running,
            terms,
        }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(super) fn take_output(&mut self) -> Bytes {
        self.waiting_since = None;
        self.outbox.take()
    }

    /// What is left to send. A stream that is done may leave its connection for others; any other one is closed.
    pub(super) fn into_output(mut self, end: &End) -> BytesMut {
        if matches!(end, End::BudgetUsedUp) {
            self.finish_choices();
        }
        let rest = self.outbox.take();
        if matches!(end, End::Done) {
            self.body.finish();
        }
        BytesMut::from(rest)
    }

    /// Says of every choice that has not finished that it reached a limit.
    fn finish_choices(&mut self) {
        let Some(head) = self.head.take() else { return };
        for index in self.choices.unfinished() {
            if let Some(chunk) = last_chunk(&head, index) {
                push_frame(self.outbox.write(), chunk.as_bytes());
            }
        }
    }

    /// Since when we have been waiting for the upstream, which has nothing; `now`, if we have not been.
    pub(super) fn wait_from(&mut self, now: Instant) -> Instant {
        *self.waiting_since.get_or_insert(now)
    }

    /// Collects what is ready `now`, up to a batch. Ready with how the stream ends, if it does; pending when the upstream
    /// has nothing more right now.
    pub(super) fn poll_collect(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        account: &mut Account,
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
                }
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(self.at_end(account, Some(failure)))),
                Poll::Ready(None) => return Poll::Ready(Some(self.at_end(account, None))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Passes the next event on, if there is one, and says whether the stream ends with it.
    fn poll_event(&mut self, account: &mut Account) -> Option<Option<End>> {
        if let Some((event, facts)) = self.first.take() {
            self.pass(&event, &facts, account);
            return Some(None);
        }
        match self.decoder.next_event() {
            Ok(event) => event.map(|event| self.take(&event, account)),
            Err(_) => Some(Some(End::Failed(too_long()))),
        }
    }

    /// Passes one event on, or says how it ends the stream.
    fn take(&mut self, event: &Event, account: &mut Account) -> Option<End> {
        match classify(&self.target, event, &mut self.looker) {
            Meaning::Nothing => None,
            Meaning::Done => Some(End::Done),
            Meaning::Failure(failure) => Some(End::Failed(failure)),
            Meaning::Chunk(facts) => {
                self.pass(event, &facts, account);
                None
            }
        }
    }

    fn pass(&mut self, event: &Event, facts: &Facts, account: &mut Account) {
        self.choices.note(facts);
        match facts.usage {
            Some(usage) if facts.no_choices => {
                account.exact(usage);
                if self.terms.hide_usage {
                    return;
                }
            }
            Some(usage) => account.running(usage),
            None => {}
        }
        // The first chunk names the role, and most upstreams put no text into it.
        let opening = std::mem::take(&mut self.fresh) && is_without_text(&event.data);
        // The last one only says why it is the last.
        if !opening && !facts.no_choices && facts.finished.is_empty() {
            account.counted(1);
        }
        let cut_usage = self.terms.hide_usage && (facts.null_usage || self.running && facts.usage.is_some());
        if facts.null_error || cut_usage {
            push_without(self.outbox.write(), event, facts, cut_usage);
            return;
        }
        match &event.verbatim {
            Some(frame) => self.outbox.pass(frame.clone()),
            None => push_frame(self.outbox.write(), &event.data),
        }
    }

    /// The upstream's bytes are over, in good order or with a failure.
    fn at_end(&mut self, account: &mut Account, failure: Option<Failure>) -> End {
        // Some servers forget the blank line after their last frame. A frame that was cut is no JSON and is left out.
        if let Ok(Some(event)) = self.decoder.finish()
            && self.looker.look(&event.data).is_ok()
            && let Some(end) = self.take(&event, account)
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

/// Which choices have begun and which have finished.
#[derive(Default)]
struct Choices {
    /// As many as the client asked for.
    wanted: u64,
    open: Vec<u64>,
    finished: Vec<u64>,
}

impl Choices {
    fn note(&mut self, facts: &Facts) {
        for index in &facts.seen {
            let known = self.open.contains(index) || self.finished.contains(index);
            if !known && self.open.len() < MOST_CHOICES {
                self.open.push(*index);
            }
        }
        for index in &facts.finished {
            self.open.retain(|open| open != index);
            if !self.finished.contains(index) && self.finished.len() < MOST_CHOICES {
                self.finished.push(*index);
            }
        }
    }

    /// The choices that have begun and not finished; the first one where none has been told apart.
    fn unfinished(&self) -> Vec<u64> {
        if self.open.is_empty() && self.finished.is_empty() { vec![0] } else { self.open.clone() }
    }

    fn all_finished(&self) -> bool {
        self.open.is_empty() && self.finished.len() as u64 >= self.wanted
    }
}
