//! Sums over all models at one moment; the difference of two is the activity between them.

use super::counters::Counter;
use super::handle::Metrics;
use super::histogram::{Bounds, CHUNK, FIRST_TOKEN};

/// Sums over all models, since the start of the process.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// Completions that have ended, in whatever way.
    pub ended: u64,
    /// Streams in flight.
    pub streams: u64,
    /// Tokens of the prompts of completions that have ended.
    pub prompt_tokens: u64,
    /// Tokens of completions; those of running streams as of the last second.
    pub completion_tokens: u64,
    /// Times from a request's arrival to its first token.
    pub first_token: Distribution,
    /// Times between the chunks of streams; those of running streams as of the last second.
    pub interval: Distribution,
}

/// A histogram of times.
#[derive(Clone, Debug)]
pub struct Distribution {
    bounds: &'static Bounds,
    /// The last one has no upper bound.
    counts: Vec<u64>,
}

impl Metrics {
    /// The sums now.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let mut snapshot = MetricsSnapshot {
            ended: 0,
            streams: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            first_token: Distribution::new(&FIRST_TOKEN),
            interval: Distribution::new(&CHUNK),
        };
        let models = self.0.models.all();
        for (_, model) in models.iter().flat_map(|(_, model)| model.operations()) {
            snapshot.ended += model.durations.iter().map(|histogram| histogram.snapshot().count()).sum::<u64>();
            snapshot.streams += u64::try_from(model.streams.get()).unwrap_or(0);
            snapshot.prompt_tokens += model.prompt.by_source.iter().map(Counter::get).sum::<u64>();
            snapshot.completion_tokens += model.tokens_so_far.get();
            model.first_token.add_to(&mut snapshot.first_token.counts);
            model.per_chunk.add_to(&mut snapshot.interval.counts);
        }
        snapshot
    }
}

impl Distribution {
    fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, counts: vec![0; bounds.upper.len() + 1] }
    }

    /// The times that were added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { bounds: self.bounds, counts }
    }

    /// The quantile `q` (0 to 1) in milliseconds, interpolated linearly within its bucket; at most the last bound. None
    /// if the histogram is empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = q * total as f64;
        let (mut before, mut lower) = (0, 0.0);
        let bounds = self.bounds.upper.iter().map(|micros| *micros as f64 / 1e3);
        for (upper, count) in bounds.zip(&self.counts) {
            if *count > 0 && rank <= (before + count) as f64 {
                let share = (rank - before as f64) / *count as f64;
                return Some(lower + (upper - lower) * share);
            }
            before += count;
            lower = upper;
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::metrics::{FinishedCompletion, IntervalHistogram};
    use crate::telemetry::record::{Source, Terminal};
    use crate::wire::operation::Operation;

    #[test]
    fn quantiles_are_interpolated_within_their_bucket() {
        let metrics = Metrics::new();
        let model = metrics.model("m").operation(Operation::Chat).clone();
        let before = metrics.snapshot().first_token;
        assert_eq!(before.quantile(0.5), None);
        // Ten in the bucket from 20 to 40 ms, ten in that from 250 to 500 ms.
        (0..10).for_each(|_| model.first_token(Duration::from_millis(30)));
        (0..10).for_each(|_| model.first_token(Duration::from_millis(300)));
        let seen = metrics.snapshot().first_token.since(&before);
        assert_eq!(
            (seen.quantile(0.25), seen.quantile(0.5), seen.quantile(0.75)),
            (Some(30.0), Some(40.0), Some(375.0))
        );
        assert_eq!(seen.quantile(1.0), Some(500.0));
        assert_eq!(metrics.snapshot().first_token.since(&metrics.snapshot().first_token).quantile(0.5), None);
    }

    #[test]
    fn a_quantile_beyond_every_bound_is_the_last_bound() {
        let metrics = Metrics::new();
        metrics.model("m").operation(Operation::Chat).first_token(Duration::from_secs(1_000));
        assert_eq!(metrics.snapshot().first_token.quantile(0.5), Some(120_000.0));
    }

    #[test]
    fn a_snapshot_sums_over_models_and_includes_running_streams() {
        let metrics = Metrics::new();
        let [one, other] = ["a", "b"].map(|name| metrics.model(name).operation(Operation::Chat).clone());
        let _stream = one.stream_begins();
        let mut intervals = IntervalHistogram::default();
        intervals.record(Duration::from_millis(30));
        one.progress(&mut intervals, 7);
        let snapshot = metrics.snapshot();
        assert_eq!((snapshot.streams, snapshot.ended, snapshot.completion_tokens), (1, 0, 7));
        assert_eq!(snapshot.interval.quantile(1.0), Some(40.0));
        let finished = FinishedCompletion {
            terminal: Terminal::Completed,
            duration: Duration::from_secs(1),
            prompt_tokens: 5,
            completion_tokens: 10,
            source: Some(Source::Exact),
            intervals: &intervals,
            reported_tokens: 7,
        };
        one.finished(&finished);
        other.finished(&FinishedCompletion { terminal: Terminal::ClientGone, reported_tokens: 0, ..finished });
        // The final count may be lower than what was reported on the way.
        other.finished(&FinishedCompletion { completion_tokens: 3, reported_tokens: 4, ..finished });
        let snapshot = metrics.snapshot();
        assert_eq!((snapshot.ended, snapshot.prompt_tokens, snapshot.completion_tokens), (3, 15, 20));
    }
}
