//! Metrics of the requests to one model, by operation.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::counters::{Counter, Gauge, GaugeGuard, LabelMap};
use super::histogram::{CHUNK, DURATION, FIRST_TOKEN, Histogram, IntervalHistogram, PER_TOKEN, TOKENS};
use super::target::TargetMetrics;
use crate::telemetry::record::{Source, Terminal};
use crate::wire::operation::Operation;

/// Upstreams of one model with a label of their own.
const MAX_TARGETS: usize = 64;

/// A completion that has ended.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCompletion<'a> {
    /// The state it ended in.
    pub terminal: Terminal,
    /// From the request's arrival to the last byte.
    pub duration: Duration,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// The source of the counts; none: nothing was counted, and the counts are ignored.
    pub source: Option<Source>,
    /// The times between the stream's chunks; empty without a stream.
    pub intervals: &'a IntervalHistogram,
    /// Tokens of the completion that were given to [`OperationMetrics::progress`].
    pub reported_tokens: u64,
}

/// The metrics of one model; using them takes no lock.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Indexed by [`Operation`]. None until the model serves a request of the operation; chat is there from the start.
    operations: [OnceLock<Arc<OperationMetrics>>; Operation::ALL.len()],
    pub(super) targets: LabelMap<TargetMetrics>,
}

/// The metrics of one operation of a model; using them takes no lock.
#[derive(Debug)]
pub struct OperationMetrics {
    pub(super) streams: Gauge,
    pub(super) durations: [Histogram; Terminal::ALL.len()],
    pub(super) first_token: Histogram,
    pub(super) per_token: Histogram,
    pub(super) per_chunk: Histogram,
    pub(super) prompt: Tokens,
    pub(super) completion: Tokens,
    /// Tokens of completions, those of running streams included.
    pub(super) tokens_so_far: Counter,
}

/// Tokens of prompts, or of completions.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) of_request: Histogram,
    pub(super) by_source: [Counter; Source::ALL.len()],
}

impl Default for Tokens {
    fn default() -> Self {
        Self { of_request: Histogram::new(&TOKENS), by_source: Default::default() }
    }
}

impl Tokens {
    fn add(&self, tokens: u64, source: Source) {
        self.of_request.observe(tokens);
        self.by_source[source as usize].add(tokens);
    }
}

impl Default for ModelMetrics {
    fn default() -> Self {
        let metrics = Self { operations: Default::default(), targets: LabelMap::new(MAX_TARGETS) };
        metrics.operation(Operation::Chat);
        metrics
    }
}

impl ModelMetrics {
    /// The metrics of an operation.
    pub fn operation(&self, operation: Operation) -> &Arc<OperationMetrics> {
        self.operations[operation as usize].get_or_init(Arc::default)
    }

    /// The operations that were used.
    pub(super) fn operations(&self) -> impl Iterator<Item = (Operation, &Arc<OperationMetrics>)> {
        Operation::ALL
            .into_iter()
            .zip(&self.operations)
            .filter_map(|(operation, metrics)| Some((operation, metrics.get()?)))
    }

    /// The metrics of the upstream `name`, as `host:port/path#model`. Takes a lock: call it once, at the start.
    #[must_use]
    pub fn target(&self, name: &str) -> Arc<TargetMetrics> {
        self.targets.get(name)
    }
}

impl Default for OperationMetrics {
    fn default() -> Self {
        Self {
            streams: Gauge::default(),
            durations: std::array::from_fn(|_| Histogram::new(&DURATION)),
            first_token: Histogram::new(&FIRST_TOKEN),
            per_token: Histogram::new(&PER_TOKEN),
            per_chunk: Histogram::new(&CHUNK),
            prompt: Tokens::default(),
            completion: Tokens::default(),
            tokens_so_far: Counter::default(),
        }
    }
}

impl OperationMetrics {
    /// Counts a stream as in flight until the guard is dropped, which should happen at the end of the response body.
    pub fn stream_begins(&self) -> GaugeGuard {
        self.streams.increment()
    }

    /// Records the time from a request's arrival to its first token.
    pub fn first_token(&self, time: Duration) {
        self.first_token.observe_time(time);
    }

    /// Adds the progress of a running stream: the intervals and tokens since the last call. All streams share these
    /// numbers, so call it at most once a second for each.
    pub fn progress(&self, intervals: &mut IntervalHistogram, tokens: u64) {
        self.per_chunk.drain(intervals);
        self.tokens_so_far.add(tokens);
    }

    /// Records a completion that has ended; exactly once for each.
    pub fn finished(&self, completion: &FinishedCompletion<'_>) {
        self.durations[completion.terminal as usize].observe_time(completion.duration);
        self.per_chunk.merge(completion.intervals);
        self.tokens_so_far.add(completion.completion_tokens.saturating_sub(completion.reported_tokens));
        let Some(source) = completion.source else { return };
        self.prompt.add(completion.prompt_tokens, source);
        self.completion.add(completion.completion_tokens, source);
        let after_first = u32::try_from(completion.completion_tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        if completion.terminal == Terminal::Completed
            && completion.intervals.count() > 0
            && let Some(mean) = completion.intervals.total().checked_div(after_first)
        {
            self.per_token.observe_time(mean);
        }
    }
}
