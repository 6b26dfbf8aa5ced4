//! A completion of the local model as a stream of chunks, at the configured pace.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use async_openai::types::chat::FinishReason;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::context::Context;
use super::frame_buffer::BATCH;
use super::local_writer::LocalWriter;
use super::unwind::EndableStream;
use super::usage_guard::{Outcome, UsageGuard};
use crate::error::ApiError;
use crate::responder::Completion;
use crate::telemetry::record::Terminal;
use crate::time::ShutdownSignal;
use crate::wire::chunk::Usage;

/// Tokens of all choices.
pub(super) fn completion_tokens(completion: &Completion) -> u32 {
    completion.choices.iter().fold(0_u32, |sum, choice| sum.saturating_add(choice.completion_tokens))
}

/// The body of the response. Choices start in the order of their index, then take turns.
pub(super) struct LocalStream {
    /// None once the stream has ended.
    usage: Option<Box<UsageGuard>>,
    completion: Completion,
    writer: LocalWriter,
    /// End the stream when its key's tokens are used up.
    stop_at_budget: bool,
    /// The index of the next piece, and of its choice.
    piece: usize,
    choice: usize,
    sent_tokens: u64,
    stage: Stage,
    pace: Option<Pace>,
    abort: ShutdownSignal,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The chunks that name the role, one a choice.
    Roles,
    Pieces,
    /// The chunks with the reasons of the ends, one a choice.
    Ends,
    /// The chunk with the usage, and `[DONE]`.
    Last,
}

struct Pace {
    interval: Duration,
    next: Pin<Box<Sleep>>,
    heartbeat: Duration,
    /// When a heartbeat is due.
    next_heartbeat: Pin<Box<Sleep>>,
}

/// Longest delay that a stream makes up for. Timers are late by up to a millisecond, which is made up for; the delay
/// of a slow client is not.
const MAX_CATCH_UP: Duration = Duration::from_millis(50);

impl Pace {
    fn new(interval: Duration, heartbeat: Duration) -> Self {
        let next = Box::pin(tokio::time::sleep(interval));
        Self { interval, next, heartbeat, next_heartbeat: Box::pin(tokio::time::sleep(heartbeat)) }
    }

    fn sent(&mut self, now: Instant) {
        self.next_heartbeat.as_mut().reset(now + self.heartbeat);
    }

    /// Number of tokens that are due; sets the time of the next.
    fn tokens_due(&mut self, now: Instant) -> u32 {
        let mut next = self.next.deadline().max(now.checked_sub(MAX_CATCH_UP).unwrap_or(now));
        let mut due = 0;
        while next <= now {
            next += self.interval;
            due += 1;
        }
        self.next.as_mut().reset(next);
        due.max(1)
    }
}

impl LocalStream {
    pub(super) fn new(context: &Context, usage: Box<UsageGuard>, completion: Completion, writer: LocalWriter) -> Self {
        let interval = context.tokens_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self {
            usage: Some(usage),
            completion,
            writer,
            stop_at_budget: context.limits.stop_at_budget,
            piece: 0,
            choice: 0,
            sent_tokens: 0,
            stage: Stage::Roles,
            pace: interval.map(|interval| Pace::new(interval, context.heartbeat)),
            abort: context.abort.clone(),
        }
    }

    /// Ends the stream: the last frames, and the settlement.
    fn end(&mut self, out: &mut BytesMut, failed: Option<(Terminal, &ApiError)>) {
        self.count();
        self.writer.end(failed.map(|(_, error)| error), out);
        if let Some(usage) = self.usage.take() {
            usage.finish(match failed {
                Some((terminal, error)) => Outcome::Ended(terminal, error),
                None => Outcome::Completed,
            });
        }
    }

    fn end_at_budget(&mut self, out: &mut BytesMut) {
        for choice in 0..self.completion.choices.len() {
            self.writer.last(out, index(choice), FinishReason::Length);
        }
        self.end(out, Some((Terminal::BudgetSpent, &ApiError::budget_used_up())));
    }

    /// Writes the next frame.
    fn step(&mut self, out: &mut BytesMut) {
        match self.stage {
            Stage::Roles => {
                if self.choice == 0
                    && let Some(usage) = &self.usage
                {
                    usage.first_token();
                }
                self.writer.first(out, index(self.choice));
                self.next_choice(Stage::Pieces);
            }
            Stage::Pieces => self.next_piece(out),
            Stage::Ends => {
                let reason = self.completion.choices[self.choice].finish_reason;
                self.writer.last(out, index(self.choice), reason);
                self.next_choice(Stage::Last);
            }
            Stage::Last => {
                let completion = &self.completion;
                self.writer.usage(out, completion.prompt_tokens, completion_tokens(completion));
                self.end(out, None);
            }
        }
    }

    fn next_piece(&mut self, out: &mut BytesMut) {
        let choice = &self.completion.choices[self.choice];
        if let Some(piece) = choice.pieces.get(self.piece) {
            self.writer.text(out, index(self.choice), &piece.text);
            self.sent_tokens += u64::from(piece.tokens);
        }
        self.choice += 1;
        if self.choice == self.completion.choices.len() {
            self.choice = 0;
            self.piece += 1;
        }
        if self.completion.choices.iter().all(|choice| self.piece >= choice.pieces.len()) {
            self.choice = 0;
            self.stage = Stage::Ends;
        }
    }

    /// Moves to the next choice, and after the last one to the next stage.
    fn next_choice(&mut self, next: Stage) {
        self.choice += 1;
        if self.choice == self.completion.choices.len() {
            self.choice = 0;
            self.stage = next;
        }
    }

    fn count(&mut self) {
        let prompt_tokens = self.completion.prompt_tokens.into();
        if let Some(usage) = &mut self.usage {
            usage.count_exactly(Usage { prompt_tokens, completion_tokens: self.sent_tokens });
        }
    }

    fn can_afford(&mut self) -> bool {
        self.count();
        self.usage.as_mut().is_none_or(|usage| usage.can_afford())
    }
}

impl EndableStream for LocalStream {
    fn end_now(&mut self) -> Option<Box<UsageGuard>> {
        self.usage.take()
    }
}

impl Body for LocalStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(usage) = &mut this.usage else { return Poll::Ready(None) };
        let mut due = 1;
        if !this.abort.is_raised()
            && this.stage == Stage::Pieces
            && let Some(pace) = &mut this.pace
        {
            if pace.next.as_mut().poll(cx).is_pending() {
                ready!(pace.next_heartbeat.as_mut().poll(cx));
                pace.sent(Instant::now());
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(this.writer.heartbeat())))));
            }
            let now = Instant::now();
            due = pace.tokens_due(now);
            pace.sent(now);
            usage.progress(now);
        }
        let mut out = BytesMut::with_capacity(1024);
        if this.abort.is_raised() {
            this.end(&mut out, Some((Terminal::Shutdown, &ApiError::shutting_down())));
        }
        while this.usage.is_some() && out.len() < BATCH {
            this.step(&mut out);
            if this.stop_at_budget && this.stage == Stage::Pieces && !this.can_afford() {
                this.end_at_budget(&mut out);
            }
            due = due.saturating_sub(1);
            if due == 0 && this.pace.is_some() && this.stage == Stage::Pieces {
                break;
            }
        }
        this.count();
        Poll::Ready(Some(Ok(Frame::data(out.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.usage.is_none()
    }
}

/// At most 128 choices.
fn index(choice: usize) -> u32 {
    u32::try_from(choice).unwrap_or(u32::MAX)
}
