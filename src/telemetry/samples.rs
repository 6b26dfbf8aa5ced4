//! What happened in each of the last seconds, for people who watch: differences between readings of the metrics.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::metrics::{Distribution, Metrics, Reading};

/// Samples that are kept: five minutes of them.
const KEPT: usize = 300;
/// How many samples' times a percentile is taken over: those of one second are few, and jump.
const WINDOW: usize = 10;

/// One second.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Its end, milliseconds since 1970.
    pub t: i64,
    /// Completions that ended in it, however they ended.
    pub requests: u64,
    /// Streams in flight at its end.
    pub streams: u64,
    /// Tokens of the prompts of those completions.
    pub prompt_tokens: u64,
    /// Tokens of completions that flowed in it, to a second or so.
    pub completion_tokens: u64,
    /// From a request's arrival to its first token, over the last ten seconds.
    pub first_token: Percentiles,
    /// Between the chunks of streams, over the last ten seconds.
    pub gap: Percentiles,
}

/// Milliseconds; none where nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<f64>,
    /// What one in a hundred exceeds.
    pub p99: Option<f64>,
}

/// The last samples; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Samples {
    metrics: Metrics,
    // std Mutex: never held across .await
    history: Arc<Mutex<History>>,
}

#[derive(Debug)]
struct History {
    /// The last readings, the newest last: never empty, and one more than the window at most.
    readings: VecDeque<Reading>,
    samples: VecDeque<Sample>,
}

impl Samples {
    /// None yet.
    #[must_use]
    pub fn of(metrics: Metrics) -> Self {
        let history = History { readings: VecDeque::from([metrics.read()]), samples: VecDeque::new() };
        Self { metrics, history: Arc::new(Mutex::new(history)) }
    }

    /// Takes a sample of what happened since the last one; to be called once a second.
    pub fn take(&self, now: Timestamp) -> Sample {
        let reading = self.metrics.read();
        let mut history = self.history();
        let sample = history.sample(now, &reading);
        push(&mut history.readings, reading, WINDOW);
        push(&mut history.samples, sample.clone(), KEPT);
        sample
    }

    /// Those of the last five minutes, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Sample> {
        self.history().samples.iter().cloned().collect()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn sample(&self, now: Timestamp, reading: &Reading) -> Sample {
        // Never empty.
        let before = self.readings.back().unwrap_or(reading);
        let long_before = self.readings.front().unwrap_or(reading);
        Sample {
            t: now.as_millisecond(),
            requests: reading.ended.saturating_sub(before.ended),
            streams: reading.streams,
            prompt_tokens: reading.prompt_tokens.saturating_sub(before.prompt_tokens),
            completion_tokens: reading.completion_tokens.saturating_sub(before.completion_tokens),
            first_token: Percentiles::of(&reading.first_token.since(&long_before.first_token)),
            gap: Percentiles::of(&reading.gap.since(&long_before.gap)),
        }
    }
}

impl Percentiles {
    fn of(times: &Distribution) -> Self {
        let rounded = |q| times.quantile(q).map(|ms| (ms * 1e3).round() / 1e3);
        Self { p50: rounded(0.5), p99: rounded(0.99) }
    }
}

/// Adds `newest`, and forgets the oldest beyond `most`.
fn push<T>(ring: &mut VecDeque<T>, newest: T, most: usize) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(newest);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_sample_is_of_its_second_and_percentiles_are_of_ten() {
        let metrics = Metrics::new();
        let model = metrics.model("m");
        let samples = Samples::of(metrics);
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
        let samples = Samples::of(Metrics::new());
        let taken: Vec<_> = (1..=400).map(|second| samples.take(at(second))).collect();
        let all = samples.all();
        let ends: Vec<_> = [&all[0], &all[299]].map(|sample| sample.t / 1_000).into();
        assert_eq!((all.len(), ends), (300, vec![101, 400]));
        assert_eq!(all, taken[100..]);
        assert_eq!(samples.history().readings.len(), WINDOW);
    }

    #[test]
    fn its_json_is_as_documented() {
        let sample = Samples::of(Metrics::new()).take(at(1));
        let expected = serde_json::json!({
            "t": 1_000, "requests": 0, "streams": 0, "promptTokens": 0, "completionTokens": 0,
            "firstToken": {"p50": null, "p99": null}, "gap": {"p50": null, "p99": null},
        });
        assert_eq!(serde_json::to_value(sample).unwrap(), expected);
    }
}
