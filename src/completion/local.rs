//! The local model's completions as answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_openai::types::chat::FinishReason;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::frame_buffer::BATCH;
use super::memory::Memory;
use super::open::ProxyRequest;
use super::usage_guard::UsageGuard;
use super::{CompletionService, response_head};
use crate::error::ApiError;
use crate::responder::{Choice, Completion, MODEL};
use crate::telemetry::record::Terminal;
use crate::time::ShutdownSignal;
use crate::wire::chat::{self, ChunkWriter, CompletionHead};
use crate::wire::chunk::Usage;
use crate::wire::request::ChatRequest;
use crate::wire::sse::{DONE, KEEP_ALIVE};

/// Answers from the live inventory.
pub(super) async fn complete(
    relay: &CompletionService,
    mut account: Box<UsageGuard>,
    order: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let request = &order.request;
    account.record().facts().target = Some(MODEL.into());
    let completion = match answer(relay, account.caller(), request).await {
        Ok(completion) => completion,
        Err(error) => {
            account.free();
            let refused = !error.status().is_server_error();
            account.fail(if refused { Terminal::Refused } else { Terminal::Failed }, &error);
            return Err(error);
        }
    };
    let head = CompletionHead::new(&request.model);
    let interval = relay.tokens_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
    if request.stream {
        let writer = ChunkWriter::new(&head, request.include_usage);
        account.begin();
        return Ok(response_head::stream(LocalStream {
            account,
            completion,
            writer,
            include_usage: request.include_usage,
            stop_at_budget: relay.limits.stop_at_budget,
            piece: 0,
            choice: 0,
            sent_tokens: 0,
            stage: Stage::First,
            pace: interval.map(|interval| Pace::new(interval, relay.heartbeat)),
            abort: relay.abort.clone(),
        }));
    }
    if let Some(interval) = interval {
        tokio::time::sleep(interval.saturating_mul(completion_tokens(&completion))).await;
    }
    let tokens = completion_tokens(&completion);
    let texts: Vec<_> = completion.choices.iter().map(|choice| (text(choice), choice.finish_reason)).collect();
    let body = Bytes::from(chat::completion(&head, &texts, &chat::usage(completion.prompt_tokens, tokens)));
    let mut memory = Memory::new(order.answer.sibling());
    if let Err(failure) = memory.hold(body.len()) {
        let error = ApiError::from(&failure);
        account.fail_with(&failure, &error);
        return Err(error);
    }
    account.first_token();
    account.exact(Usage { prompt_tokens: completion.prompt_tokens.into(), completion_tokens: tokens.into() });
    account.complete();
    Ok(response_head::json(StatusCode::OK, memory.keep(body)))
}

async fn answer(relay: &CompletionService, caller: &Arc<str>, request: &ChatRequest) -> Result<Completion, ApiError> {
    Ok(relay.responder.complete(caller, request).await?)
}

fn text(choice: &Choice) -> String {
    choice.pieces.iter().map(|piece| piece.text.as_str()).collect()
}

fn completion_tokens(completion: &Completion) -> u32 {
    completion.choices.iter().fold(0_u32, |sum, choice| sum.saturating_add(choice.completion_tokens))
}

/// Choices start in the order of their index, then take turns.
struct LocalStream {
    account: Box<UsageGuard>,
    completion: Completion,
    writer: ChunkWriter,
    include_usage: bool,
    /// End the stream when its key's tokens are used up.
    stop_at_budget: bool,
    /// Which piece is next, of which choice.
    piece: usize,
    choice: usize,
    sent_tokens: u64,
    stage: Stage,
    pace: Option<Pace>,
    abort: ShutdownSignal,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    First,
    Pieces,
    Last,
    Usage,
    Over,
}

struct Pace {
    interval: Duration,
    next: Pin<Box<Sleep>>,
    heartbeat: Duration,
    /// Rings when the stream has been silent for so long.
    alarm: Pin<Box<Sleep>>,
}

/// Timers ring in milliseconds: what one rings late for is made up, but not what a slow client has missed.
const CATCH_UP: Duration = Duration::from_millis(50);

impl Pace {
    fn new(interval: Duration, heartbeat: Duration) -> Self {
        let next = Box::pin(tokio::time::sleep(interval));
        Self { interval, next, heartbeat, alarm: Box::pin(tokio::time::sleep(heartbeat)) }
    }

    fn sent(&mut self, now: Instant) {
        self.alarm.as_mut().reset(now + self.heartbeat);
    }

    /// How many tokens have come due; sets the time of the next.
    fn tokens_due(&mut self, now: Instant) -> u32 {
        let mut next = self.next.deadline().max(now.checked_sub(CATCH_UP).unwrap_or(now));
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
    /// The one end of a stream that the server's own end cuts short.
    fn cut_short(&mut self) -> Bytes {
        let error = ApiError::shutting_down();
        self.account.fail(Terminal::Shutdown, &error);
        self.stage = Stage::Over;
        let mut out = BytesMut::new();
        error.push_frame(&mut out);
        out.extend_from_slice(DONE);
        out.freeze()
    }

    /// The one end of a stream whose key's tokens are used up.
    fn budget_used_up(&mut self, out: &mut BytesMut) {
        for choice in 0..self.completion.choices.len() {
            self.writer.last(out, index(choice), FinishReason::Length);
        }
        let error = ApiError::budget_used_up();
        self.account.fail(Terminal::BudgetSpent, &error);
        self.stage = Stage::Over;
        error.push_frame(out);
        out.extend_from_slice(DONE);
    }

    /// Writes the next frame.
    fn step(&mut self, out: &mut BytesMut) {
        match self.stage {
            Stage::First => self.open(out),
            Stage::Pieces => self.next_piece(out),
            Stage::Last => {
                let reason = self.completion.choices[self.choice].finish_reason;
                self.writer.last(out, index(self.choice), reason);
                self.turn(Stage::Last, Stage::Usage);
            }
            Stage::Usage => {
                if self.include_usage {
                    let usage = chat::usage(self.completion.prompt_tokens, completion_tokens(&self.completion));
                    self.writer.usage(out, &usage);
                }
                out.extend_from_slice(DONE);
                self.count();
                self.account.complete();
                self.stage = Stage::Over;
            }
            Stage::Over => {}
        }
    }

    fn open(&mut self, out: &mut BytesMut) {
        self.account.first_token();
        self.writer.first(out, index(self.choice));
        self.turn(Stage::First, Stage::Pieces);
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
            self.stage = Stage::Last;
        }
    }

    /// Goes on to the next choice, and after the last one to the next stage.
    fn turn(&mut self, here: Stage, next: Stage) {
        self.choice += 1;
        self.stage = here;
        if self.choice == self.completion.choices.len() {
            self.choice = 0;
            self.stage = next;
        }
    }

    fn count(&mut self) {
        let prompt_tokens = self.completion.prompt_tokens.into();
        self.account.exact(Usage { prompt_tokens, completion_tokens: self.sent_tokens });
    }
}

impl Body for LocalStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.stage == Stage::Over {
            return Poll::Ready(None);
        }
        if this.abort.is_raised() {
            return Poll::Ready(Some(Ok(Frame::data(this.cut_short()))));
        }
        let mut due = 1;
        if this.stage == Stage::Pieces
            && let Some(pace) = &mut this.pace
        {
            if pace.next.as_mut().poll(cx).is_pending() {
                ready!(pace.alarm.as_mut().poll(cx));
                pace.sent(Instant::now());
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(KEEP_ALIVE)))));
            }
            let now = Instant::now();
            due = pace.tokens_due(now);
            pace.sent(now);
            this.account.progress(now);
        }
        let mut out = BytesMut::with_capacity(1024);
        while this.stage != Stage::Over && out.len() < BATCH {
            this.step(&mut out);
            if this.stop_at_budget && this.stage == Stage::Pieces {
                this.count();
                if !this.account.can_afford() {
                    this.budget_used_up(&mut out);
                }
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
        self.stage == Stage::Over
    }
}

/// At most 128 choices.
fn index(choice: usize) -> u32 {
    u32::try_from(choice).unwrap_or(u32::MAX)
}
