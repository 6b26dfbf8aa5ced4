//! Sums over all models, for those who want to know what happened between two moments.

use super::Metrics;
use super::histogram::{Bounds, CHUNK, FIRST_TOKEN};

/// What had happened up to one moment, since the start.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Completions that have ended, however.
    pub ended: u64,
    /// Streams in flight.
    pub streams: u64,
    /// Tokens of prompts, of completions that have ended.
    pub prompt_tokens: u64,
    /// Tokens of completions; those of running streams as of the last second.
    pub completion_tokens: u64,
    /// Times from a request's arrival to its first token.
    pub first_token: Distribution,
    /// Times between the chunks of a stream; those of running streams as of the last second.
    pub gap: Distribution,
}

/// Times, counted in buckets.
#[derive(Clone, Debug)]
pub struct Distribution {
    bounds: &'static Bounds,
    /// The last one has no upper bound.
    counts: Vec<u64>,
}

impl Metrics {
    /// What has happened so far.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut reading = Reading {
            ended: 0,
            streams: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            first_token: Distribution::new(&FIRST_TOKEN),
            gap: Distribution::new(&CHUNK),
        };
        for (_, model) in self.0.models.all() {
            reading.ended += model.durations.iter().map(|histogram| histogram.snapshot().count()).sum::<u64>();
            reading.streams += u64::try_from(model.streams.get()).unwrap_or(0);
            reading.prompt_tokens += model.prompt.by_source.iter().map(super::Counter::get).sum::<u64>();
            reading.completion_tokens += model.flow.get();
            model.first_token.add_to(&mut reading.first_token.counts);
            model.per_chunk.add_to(&mut reading.gap.counts);
        }
        reading
    }
}

impl Distribution {
    fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, counts: vec![0; bounds.upper.len() + 1] }
    }

    /// What has been added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { bounds: self.bounds, counts }
    }

    /// The time, in milliseconds, that the share `q` of all is not longer than, as far as buckets tell: within one, times
    /// are taken for evenly spread. Beyond the last bound it is that bound. None where there is nothing.
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
    use crate::telemetry::metrics::{Ended, IntervalHistogram};
    use crate::telemetry::record::{Source, Terminal};

    #[test]
    fn quantiles_are_found_within_their_bucket() {
        let metrics = Metrics::new();
        let model = metrics.model("m");
        let before = metrics.read().first_token;
        assert_eq!(before.quantile(0.5), None);
        // Ten in the bucket from 20 to 40 ms, ten in that from 250 to 500 ms.
        (0..10).for_each(|_| model.first_token(Duration::from_millis(30)));
        (0..10).for_each(|_| model.first_token(Duration::from_millis(300)));
        let seen = metrics.read().first_token.since(&before);
        assert_eq!(
            (seen.quantile(0.25), seen.quantile(0.5), seen.quantile(0.75)),
            (Some(30.0), Some(40.0), Some(375.0))
        );
        assert_eq!(seen.quantile(1.0), Some(500.0));
        assert_eq!(metrics.read().first_token.since(&metrics.read().first_token).quantile(0.5), None);
    }

    #[test]
    fn what_is_beyond_every_bound_is_at_the_last_one() {
        let metrics = Metrics::new();
        metrics.model("m").first_token(Duration::from_secs(1_000));
        assert_eq!(metrics.read().first_token.quantile(0.5), Some(120_000.0));
    }

    #[test]
    fn a_reading_is_the_sum_over_models_and_knows_of_streams_that_go_on() {
        let metrics = Metrics::new();
        let (one, other) = (metrics.model("a"), metrics.model("b"));
        let _stream = one.stream_begins();
        let mut gaps = IntervalHistogram::default();
        gaps.note(Duration::from_millis(30));
        one.progress(&mut gaps, 7);
        let reading = metrics.read();
        assert_eq!((reading.streams, reading.ended, reading.completion_tokens), (1, 0, 7));
        assert_eq!(reading.gap.quantile(1.0), Some(40.0));
        let ended = Ended {
            terminal: Terminal::Completed,
            duration: Duration::from_secs(1),
            prompt_tokens: 5,
            completion_tokens: 10,
            source: Some(Source::Exact),
            gaps: &gaps,
            told: 7,
        };
        one.ended(&ended);
        other.ended(&Ended { terminal: Terminal::ClientGone, told: 0, ..ended });
        // Fewer in the end than there seemed to be on the way.
        other.ended(&Ended { completion_tokens: 3, told: 4, ..ended });
        let reading = metrics.read();
        assert_eq!((reading.ended, reading.prompt_tokens, reading.completion_tokens), (3, 15, 20));
    }
}
