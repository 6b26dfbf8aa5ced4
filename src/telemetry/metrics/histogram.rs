//! Histograms with fixed buckets, of atomic counters: recording never waits for a scrape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of buckets, and the divisor that gives the unit of the exposition.
#[derive(Debug)]
pub(super) struct Bounds {
    /// In ascending order, without the infinite bound of the last bucket.
    pub(super) upper: &'static [u64],
    pub(super) divisor: f64,
}

const MICROSECONDS: f64 = 1e6;

// The buckets of OpenTelemetry's conventions, extended for a proxy: streams of half an hour, first tokens at the
// deadline, and chunks of the local model within a millisecond.

/// Duration of a request.
pub(super) static DURATION: Bounds = Bounds {
    upper: &[
        10_000,
        20_000,
        40_000,
        80_000,
        160_000,
        320_000,
        640_000,
        1_280_000,
        2_560_000,
        5_120_000,
        10_240_000,
        20_480_000,
        40_960_000,
        81_920_000,
        300_000_000,
        1_800_000_000,
    ],
    divisor: MICROSECONDS,
};

/// Time to the first token.
pub(super) static FIRST_TOKEN: Bounds = Bounds {
    upper: &[
        1_000,
        5_000,
        10_000,
        20_000,
        40_000,
        60_000,
        80_000,
        100_000,
        250_000,
        500_000,
        750_000,
        1_000_000,
        2_500_000,
        5_000_000,
        7_500_000,
        10_000_000,
        30_000_000,
        120_000_000,
    ],
    divisor: MICROSECONDS,
};

/// A completion's mean time per token.
pub(super) static PER_TOKEN: Bounds = Bounds {
    upper: &[
        1_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000,
        1_000_000, 2_500_000,
    ],
    divisor: MICROSECONDS,
};

const CHUNK_UPPER: &[u64] = &[
    100, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000,
    5_120_000, 10_240_000, 20_480_000, 40_960_000, 81_920_000,
];

/// Time between chunks.
pub(super) static CHUNK: Bounds = Bounds { upper: CHUNK_UPPER, divisor: MICROSECONDS };

/// A call of Redis, which has 50 ms.
pub(super) static REDIS_CALL: Bounds = Bounds {
    upper: &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000],
    divisor: MICROSECONDS,
};

/// Tokens of a request.
pub(super) static TOKENS: Bounds = Bounds {
    upper: &[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864],
    divisor: 1.0,
};

/// A histogram that threads share.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static Bounds,
    counts: Box<[AtomicU64]>,
    /// In the unit of the bounds. In microseconds, 10,000 streams at once overflow it after 58 years.
    sum: AtomicU64,
}

/// The counts and the sum of a histogram at one moment.
pub(super) struct HistogramSnapshot {
    /// Upper bound and count of each bucket, not cumulative; the last bound is infinite.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static Bounds) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.upper.len() + 1).collect();
        Self { bounds, counts, sum: AtomicU64::default() }
    }

    pub(super) fn observe(&self, value: u64) {
        self.add(bucket(self.bounds.upper, value), 1);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn observe_time(&self, time: Duration) {
        self.observe(micros(time));
    }

    /// Adds the intervals of a stream, whose buckets are those of [`CHUNK`].
    pub(super) fn merge(&self, intervals: &IntervalHistogram) {
        debug_assert!(std::ptr::eq(self.bounds, &raw const CHUNK));
        for (index, count) in intervals.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add(index, u64::from(*count));
        }
        self.sum.fetch_add(micros(intervals.sum), Ordering::Relaxed);
    }

    /// As [`Histogram::merge`] for a running stream: the merged intervals are removed, so that the next call adds only
    /// new ones.
    pub(super) fn drain(&self, intervals: &mut IntervalHistogram) {
        self.merge(intervals);
        *intervals =
            IntervalHistogram { merged: (intervals.count(), intervals.total()), ..IntervalHistogram::default() };
    }

    /// Adds the count of each bucket to those in `totals`.
    pub(super) fn add_to(&self, totals: &mut [u64]) {
        for (total, count) in totals.iter_mut().zip(&self.counts) {
            *total += count.load(Ordering::Relaxed);
        }
    }

    fn add(&self, index: usize, more: u64) {
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> HistogramSnapshot {
        let bounds = self.bounds.upper.iter().map(|upper| *upper as f64 / self.bounds.divisor);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets = bounds.chain(Some(f64::INFINITY)).zip(counts).collect();
        HistogramSnapshot { buckets, sum: self.sum.load(Ordering::Relaxed) as f64 / self.bounds.divisor }
    }
}

impl HistogramSnapshot {
    /// The sum of the buckets, so that it agrees with them during concurrent updates.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// The times between the chunks of one stream. Not shared and not atomic, so that a token costs a few comparisons only.
/// Merged by `ModelMetrics::progress` and, at the stream's end, by `ModelMetrics::finished`.
#[derive(Clone, Debug, Default)]
pub struct IntervalHistogram {
    counts: [u32; CHUNK_UPPER.len() + 1],
    sum: Duration,
    /// Number and sum of the intervals that were merged, and are no longer in `counts` and `sum`.
    merged: (u64, Duration),
}

impl IntervalHistogram {
    /// Records the time from one chunk to the next.
    pub fn record(&mut self, interval: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(CHUNK_UPPER, micros(interval))) {
            *count = count.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(interval);
    }

    /// The sum: the time from the first chunk to the last.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.merged.1.saturating_add(self.sum)
    }

    /// Number of recorded intervals.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.merged.0 + self.counts.iter().map(|count| u64::from(*count)).sum::<u64>()
    }
}

/// Index of the bucket of `value`; bounds are inclusive.
fn bucket(upper: &[u64], value: u64) -> usize {
    upper.partition_point(|bound| *bound < value)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(histogram: &Histogram) -> Vec<(f64, u64)> {
        histogram.snapshot().buckets.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [&DURATION, &FIRST_TOKEN, &PER_TOKEN, &CHUNK, &TOKENS] {
            assert!(bounds.upper.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        let tokens = Histogram::new(&TOKENS);
        for value in [0, 1, 2, 4, 67_108_864, 67_108_865] {
            tokens.observe(value);
        }
        assert_eq!(filled(&tokens), [(1.0, 2), (4.0, 2), (67_108_864.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(tokens.snapshot().count(), 6);
        assert_eq!(tokens.snapshot().sum, 134_217_736.0);
    }

    #[test]
    fn merged_intervals_equal_single_observations() {
        let (merged, each) = (Histogram::new(&CHUNK), Histogram::new(&CHUNK));
        let mut intervals = IntervalHistogram::default();
        for millis in [0, 1, 3, 10, 11, 400, 100_000] {
            intervals.record(Duration::from_millis(millis));
            each.observe_time(Duration::from_millis(millis));
        }
        merged.merge(&intervals);
        merged.merge(&IntervalHistogram::default());
        assert_eq!(filled(&merged), filled(&each));
        assert_eq!(merged.snapshot().sum, each.snapshot().sum);
        assert_eq!((intervals.count(), intervals.total()), (7, Duration::from_millis(100_425)));
        assert_eq!(filled(&merged).first(), Some(&(0.0001, 1)));
    }

    #[test]
    fn drained_intervals_are_merged_once_and_stay_in_the_total() {
        let histogram = Histogram::new(&CHUNK);
        let mut intervals = IntervalHistogram::default();
        for pieces in 1..=3_u64 {
            intervals.record(Duration::from_millis(30));
            intervals.record(Duration::from_millis(1));
            histogram.drain(&mut intervals);
            assert_eq!(histogram.snapshot().count(), 2 * pieces);
        }
        histogram.drain(&mut intervals);
        intervals.record(Duration::from_millis(7));
        histogram.merge(&intervals);
        assert_eq!(filled(&histogram), [(0.001, 3), (0.01, 1), (0.04, 3)]);
        assert_eq!((intervals.count(), intervals.total()), (7, Duration::from_millis(100)));
        assert_eq!(histogram.snapshot().sum, 0.1);
        let mut totals = vec![1; CHUNK_UPPER.len() + 1];
        histogram.add_to(&mut totals);
        assert_eq!(totals.iter().sum::<u64>(), 7 + totals.len() as u64);
    }

    #[test]
    fn short_intervals_are_not_lost_to_rounding() {
        let histogram = Histogram::new(&CHUNK);
        let mut intervals = IntervalHistogram::default();
        (0..1_000_000).for_each(|_| intervals.record(Duration::from_nanos(1_500)));
        histogram.merge(&intervals);
        assert_eq!(histogram.snapshot().sum, 1.5);
    }
}
