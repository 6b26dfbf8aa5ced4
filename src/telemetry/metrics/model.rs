//! What is measured of one model's completions.

use std::sync::Arc;
use std::time::Duration;

use super::count::{ByName, Counter, Gauge, GaugeGuard};
use super::histogram::{CHUNK, DURATION, FIRST_TOKEN, Histogram, IntervalHistogram, PER_TOKEN, TOKENS};
use super::target::TargetMetrics;
use crate::telemetry::record::{Source, Terminal};

/// Most upstreams of one model that are told apart.
const MAX_TARGETS: usize = 64;

/// How a completion ended, and what it came to.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The state it ended in.
    pub terminal: Terminal,
    /// From the request's arrival to the last byte.
    pub duration: Duration,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// Where the counts come from; none: nothing was counted, and the counts are not looked at.
    pub source: Option<Source>,
    /// The times between the stream's chunks; an empty one where there was no stream.
    pub gaps: &'a IntervalHistogram,
    /// Tokens of the completion that [`ModelMetrics::progress`] has been told of.
    pub told: u64,
}

/// One model's metrics. Ask for it once, at the start: using it takes no lock and looks nothing up.
#[derive(Debug)]
pub struct ModelMetrics {
    pub(super) streams: Gauge,
    pub(super) durations: [Histogram; Terminal::ALL.len()],
    pub(super) first_token: Histogram,
    pub(super) per_token: Histogram,
    pub(super) per_chunk: Histogram,
    pub(super) prompt: Tokens,
    pub(super) completion: Tokens,
    /// Tokens of completions as they flow: not only when they have ended.
    pub(super) flow: Counter,
    pub(super) targets: ByName<TargetMetrics>,
}

/// Tokens of one kind.
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
        Self {
            streams: Gauge::default(),
            durations: std::array::from_fn(|_| Histogram::new(&DURATION)),
            first_token: Histogram::new(&FIRST_TOKEN),
            per_token: Histogram::new(&PER_TOKEN),
            per_chunk: Histogram::new(&CHUNK),
            prompt: Tokens::default(),
            completion: Tokens::default(),
            flow: Counter::default(),
            targets: ByName::new(MAX_TARGETS),
        }
    }
}

impl ModelMetrics {
    /// A stream has begun. It is in flight until the guard is dropped, which belongs to the body's end.
    pub fn stream_begins(&self) -> GaugeGuard {
        self.streams.hold()
    }

    /// The first token is there, so long after the request's arrival.
    pub fn first_token(&self, after: Duration) {
        self.first_token.observe_time(after);
    }

    /// A running stream has had `tokens` more than it has told of before. For each stream at most once a second: this is
    /// shared by all.
    pub fn progress(&self, gaps: &mut IntervalHistogram, tokens: u64) {
        self.per_chunk.drain(gaps);
        self.flow.add(tokens);
    }

    /// A completion has ended. To be called once for each.
    pub fn ended(&self, ended: &Ended<'_>) {
        self.durations[ended.terminal as usize].observe_time(ended.duration);
        self.per_chunk.merge(ended.gaps);
        self.flow.add(ended.completion_tokens.saturating_sub(ended.told));
        let Some(source) = ended.source else { return };
        self.prompt.add(ended.prompt_tokens, source);
        self.completion.add(ended.completion_tokens, source);
        let after_first = u32::try_from(ended.completion_tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        if ended.terminal == Terminal::Completed
            && ended.gaps.count() > 0
            && let Some(mean) = ended.gaps.total().checked_div(after_first)
        {
            self.per_token.observe_time(mean);
        }
    }

    /// The metrics of the upstream `name`, as `host:port/path#model`. Ask for it once, at the start.
    #[must_use]
    pub fn target(&self, name: &str) -> Arc<TargetMetrics> {
        self.targets.get(name)
    }
}
