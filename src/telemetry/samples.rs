//! Samples of the last five minutes, one a second, for the page: differences between snapshots of the metrics.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::metrics::{Distribution, Metrics, MetricsSnapshot};

/// Samples that are kept: five minutes.
const MAX_SAMPLES: usize = 300;
/// Samples that percentiles are computed over: with those of a single second they would fluctuate.
const PERCENTILE_WINDOW: usize = 10;

/// The activity of one second.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The end of the second, in milliseconds since 1970.
    pub t: i64,
    /// Completions that ended in it, in whatever way.
    pub requests: u64,
    /// Streams in flight at its end.
    pub streams: u64,
    /// Tokens of the prompts of those completions.
    pub prompt_tokens: u64,
    /// Tokens of completions that were generated in it, accurate to about a second.
    pub completion_tokens: u64,
    /// From a request's arrival to its first token, over the last ten seconds.
    pub first_token: Percentiles,
    /// Time between the chunks of streams, over the last ten seconds.
    pub gap: Percentiles,
}

/// Percentiles in milliseconds; none without measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

/// The last samples; clones share them.
#[derive(Clone, Debug)]
pub struct Samples {
    metrics: Metrics,
    // std Mutex: never held across .await
    history: Arc<Mutex<History>>,
}

#[derive(Debug)]
struct History {
    /// The last snapshots, the newest last: never empty, at most the window.
    snapshots: VecDeque<MetricsSnapshot>,
    samples: VecDeque<Sample>,
}

impl Samples {
    /// No samples yet.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let history = History { snapshots: VecDeque::from([metrics.snapshot()]), samples: VecDeque::new() };
        Self { metrics, history: Arc::new(Mutex::new(history)) }
    }

    /// Takes a sample of what happened since the last one; call it once a second.
    pub fn take(&self, now: Timestamp) -> Sample {
        let snapshot = self.metrics.snapshot();
        let mut history = self.history();
        let sample = history.sample(now, &snapshot);
        push(&mut history.snapshots, snapshot, PERCENTILE_WINDOW);
        push(&mut history.samples, sample.clone(), MAX_SAMPLES);
        sample
    }

    /// The samples of the last five minutes, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Sample> {
        self.history().samples.iter().cloned().collect()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn sample(&self, now: Timestamp, snapshot: &MetricsSnapshot) -> Sample {
        // There always is one.
        let last = self.snapshots.back().unwrap_or(snapshot);
        let first = self.snapshots.front().unwrap_or(snapshot);
        Sample {
            t: now.as_millisecond(),
            requests: snapshot.ended.saturating_sub(last.ended),
            streams: snapshot.streams,
            prompt_tokens: snapshot.prompt_tokens.saturating_sub(last.prompt_tokens),
            completion_tokens: snapshot.completion_tokens.saturating_sub(last.completion_tokens),
            first_token: Percentiles::of(&snapshot.first_token.since(&first.first_token)),
            gap: Percentiles::of(&snapshot.interval.since(&first.interval)),
        }
    }
}

impl Percentiles {
    fn of(times: &Distribution) -> Self {
        let rounded = |q| times.quantile(q).map(|ms| (ms * 1e3).round() / 1e3);
        Self { p50: rounded(0.5), p99: rounded(0.99) }
    }
}

/// Adds `newest`, and removes the oldest beyond `max`.
fn push<T>(ring: &mut VecDeque<T>, newest: T, max: usize) {
    if ring.len() >= max {
        ring.pop_front();
    }
    ring.push_back(newest);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::operation::Operation;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_sample_covers_one_second_and_its_percentiles_ten() {
        let metrics = Metrics::new();
        let model = metrics.model("m").operation(Operation::Chat).clone();
        let samples = Samples::new(metrics);
        let none = Percentiles { p50: None, p99: None };
        let stream = model.stream_begins();
        model.first_token(Duration::from_millis(30));
        model.progress(&mut crate::telemetry::metrics::IntervalHistogram::default(), 5);
        let first = samples.take(at(1));
        assert_eq!((first.t, first.streams, first.completion_tokens, first.gap), (1_000, 1, 5, none));
        let seen = Percentiles { p50: Some(30.0), p99: Some(39.8) };
        assert_eq!(first.first_token, seen);
        drop(stream);
        for second in 2..=10 {
            let sample = samples.take(at(second));
            assert_eq!((sample.streams, sample.completion_tokens, sample.first_token), (0, 0, seen), "{second}");
        }
        assert_eq!(samples.take(at(11)).first_token, none);
        assert_eq!(samples.all().len(), 11);
    }

    #[test]
    fn only_the_last_five_minutes_are_kept() {
        let samples = Samples::new(Metrics::new());
        let taken: Vec<_> = (1..=400).map(|second| samples.take(at(second))).collect();
        let all = samples.all();
        let ends: Vec<_> = [&all[0], &all[299]].map(|sample| sample.t / 1_000).into();
        assert_eq!((all.len(), ends), (300, vec![101, 400]));
        assert_eq!(all, taken[100..]);
        assert_eq!(samples.history().snapshots.len(), PERCENTILE_WINDOW);
    }

    #[test]
    fn a_sample_has_the_documented_json() {
        let sample = Samples::new(Metrics::new()).take(at(1));
        let expected = serde_json::json!({
            "t": 1_000, "requests": 0, "streams": 0, "promptTokens": 0, "completionTokens": 0,
            "firstToken": {"p50": null, "p99": null}, "gap": {"p50": null, "p99": null},
        });
        assert_eq!(serde_json::to_value(sample).unwrap(), expected);
    }
}
