//! Numbers that threads share: counters, gauges, and maps of them by label, which are bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The label that values beyond a bound share.
pub(super) const OTHER: &str = "other";

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        // Relaxed, here and below: no other memory is published with a number.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Raises it to a total that is counted elsewhere.
    pub(super) fn raise_to(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<AtomicI64>);

impl Gauge {
    pub(super) fn set(&self, value: usize) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds one until the guard is dropped.
    pub(super) fn increment(&self) -> GaugeGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(self.clone())
    }
}

/// Counts one in a gauge for as long as it exists.
#[derive(Debug)]
#[must_use = "the gauge falls when it is dropped"]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A counter for each of the first `N` keys; all later keys share one. Takes no lock.
#[derive(Debug)]
pub(super) struct CounterMap<K, const N: usize> {
    slots: [OnceLock<(K, Counter)>; N],
    other: Counter,
}

impl<K, const N: usize> Default for CounterMap<K, N> {
    fn default() -> Self {
        Self { slots: [const { OnceLock::new() }; N], other: Counter::default() }
    }
}

impl<K: Copy + Eq, const N: usize> CounterMap<K, N> {
    pub(super) fn counter(&self, key: K) -> &Counter {
        let mut entries = self.slots.iter().map(|slot| slot.get_or_init(|| (key, Counter::default())));
        entries.find(|(owner, _)| *owner == key).map_or(&self.other, |(_, counter)| counter)
    }

    /// Each key and its count; `None` is the key of those that share a counter, if there are any.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<K>, u64)> {
        let own = self.slots.iter().filter_map(OnceLock::get).map(|(key, counter)| (Some(*key), counter.get()));
        own.chain(Some((None, self.other.get())).filter(|(_, count)| *count > 0))
    }
}

/// A `T` for each of the first `max` names; all later names share one. The lookup takes a lock.
#[derive(Debug)]
pub(super) struct LabelMap<T> {
    max: usize,
    // std RwLock: never held across .await
    entries: RwLock<BTreeMap<Arc<str>, Arc<T>>>,
}

impl<T: Default> LabelMap<T> {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, entries: RwLock::new(BTreeMap::new()) }
    }

    pub(super) fn get(&self, name: &str) -> Arc<T> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(entry);
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let name = if entries.len() < self.max || entries.contains_key(name) { name } else { OTHER };
        Arc::clone(entries.entry(name.into()).or_default())
    }

    /// All entries, ordered by name.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|(name, entry)| (Arc::clone(name), Arc::clone(entry))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_falls_when_its_guard_is_dropped_even_by_a_panic() {
        let gauge = Gauge::default();
        let first = gauge.increment();
        let panicked = std::thread::spawn({
            let held = gauge.increment();
            move || {
                let _held = held;
                panic!("of the test");
            }
        });
        assert!(panicked.join().is_err());
        assert_eq!(gauge.get(), 1);
        drop(first);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn the_first_keys_have_counters_and_the_rest_share_one() {
        let counters = CounterMap::<&str, 2>::default();
        for key in ["a", "b", "c", "a", "d"] {
            counters.counter(key).add(1);
        }
        assert_eq!(counters.all().collect::<Vec<_>>(), [(Some("a"), 2), (Some("b"), 1), (None, 2)]);
        assert_eq!(CounterMap::<&str, 2>::default().all().count(), 0);
    }

    #[test]
    fn concurrent_first_uses_of_counters_lose_nothing() {
        let counters = CounterMap::<u64, 8>::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let counters = &counters;
                scope.spawn(move || (0..1000).for_each(|i| counters.counter((i + thread) % 16).add(1)));
            }
        });
        let all: Vec<_> = counters.all().collect();
        assert_eq!(all.len(), 9);
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 4000);
    }

    #[test]
    fn names_beyond_the_bound_share_one_entry() {
        let names = LabelMap::<Counter>::new(2);
        for name in ["b", "a", "c", "d", "a"] {
            names.get(name).add(1);
        }
        let all: Vec<_> = names.all().into_iter().map(|(name, counter)| (name.to_string(), counter.get())).collect();
        assert_eq!(all, [("a".into(), 2), ("b".into(), 1), ("other".to_owned(), 2)]);
    }
}
