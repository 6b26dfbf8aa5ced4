//! Measured durations and their percentiles.

use serde::{Deserialize, Serialize};

/// Durations, ns.
#[derive(Default)]
pub(crate) struct Samples(Vec<u64>);

/// Percentiles of many durations, µs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Samples {
    pub(crate) fn push(&mut self, from: u64, to: u64) {
        self.0.push(to.saturating_sub(from));
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn percentiles(mut self) -> Percentiles {
        self.0.sort_unstable();
        let of = |share: f64| {
            let rank = (share * self.0.len() as f64).ceil() as usize;
            self.0.get(rank.saturating_sub(1)).map_or(0.0, |time| *time as f64 / 1000.0)
        };
        Percentiles { count: self.0.len(), p50: of(0.5), p99: of(0.99), p999: of(0.999) }
    }
}

/// The middle value, or the mean of the two middle values. None without values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
