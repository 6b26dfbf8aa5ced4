//! Numbers that many threads add to: counters, levels, and sets of counters that can't grow without end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The label of everything that has no place of its own.
pub(super) const OTHER: &str = "other";

/// Only ever grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        // Relaxed, here and elsewhere: a number says nothing about other memory.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// To what somebody else has counted.
    pub(super) fn raise_to(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<AtomicI64>);

impl Gauge {
    pub(super) fn set(&self, value: usize) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, until the guard is dropped.
    pub(super) fn hold(&self) -> GaugeGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(self.clone())
    }
}

/// Counts in a gauge for as long as it lives: what is in flight stays so until its last byte, wherever that ends.
#[derive(Debug)]
#[must_use = "it counts only for as long as it is kept"]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counters for the first `N` keys that come; those that come later share one.
#[derive(Debug)]
pub(super) struct Slots<K, const N: usize> {
    slots: [OnceLock<(K, Counter)>; N],
    other: Counter,
}

impl<K, const N: usize> Default for Slots<K, N> {
    fn default() -> Self {
        Self { slots: [const { OnceLock::new() }; N], other: Counter::default() }
    }
}

impl<K: Copy + Eq, const N: usize> Slots<K, N> {
    pub(super) fn of(&self, key: K) -> &Counter {
        let held = self.slots.iter().map(|slot| slot.get_or_init(|| (key, Counter::default())));
        held.into_iter().find(|(held, _)| *held == key).map_or(&self.other, |(_, counter)| counter)
    }

    /// Each key and its count; `None` for those without a place, if there were any.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<K>, u64)> {
        let own = self.slots.iter().filter_map(OnceLock::get).map(|(key, counter)| (Some(*key), counter.get()));
        own.chain(Some((None, self.other.get())).filter(|(_, count)| *count > 0))
    }
}

/// A `T` for each of the first `most` names that come; those that come later share one.
#[derive(Debug)]
pub(super) struct ByName<T> {
    most: usize,
    // std RwLock: never held across .await
    known: RwLock<BTreeMap<Arc<str>, Arc<T>>>,
}

impl<T: Default> ByName<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, known: RwLock::new(BTreeMap::new()) }
    }

    pub(super) fn get(&self, name: &str) -> Arc<T> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let name = if known.len() < self.most || known.contains_key(name) { name } else { OTHER };
        Arc::clone(known.entry(name.into()).or_default())
    }

    /// Every name, in order.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, thing)| (Arc::clone(name), Arc::clone(thing))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_falls_when_its_guard_is_dropped_even_by_a_panic() {
        let level = Gauge::default();
        let first = level.hold();
        let panicked = std::thread::spawn({
            let held = level.hold();
            move || {
                let _held = held;
                panic!("of the test");
            }
        });
        assert!(panicked.join().is_err());
        assert_eq!(level.get(), 1);
        drop(first);
        assert_eq!(level.get(), 0);
    }

    #[test]
    fn slots_keep_the_first_keys_and_fold_the_rest() {
        let slots = Slots::<&str, 2>::default();
        for key in ["a", "b", "c", "a", "d"] {
            slots.of(key).add(1);
        }
        assert_eq!(slots.all().collect::<Vec<_>>(), [(Some("a"), 2), (Some("b"), 1), (None, 2)]);
        assert_eq!(Slots::<&str, 2>::default().all().count(), 0);
    }

    #[test]
    fn slots_claimed_at_the_same_time_lose_nothing() {
        let slots = Slots::<u64, 8>::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let slots = &slots;
                scope.spawn(move || (0..1000).for_each(|i| slots.of((i + thread) % 16).add(1)));
            }
        });
        let all: Vec<_> = slots.all().collect();
        assert_eq!(all.len(), 9);
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 4000);
    }

    #[test]
    fn names_beyond_the_bound_share_one() {
        let names = ByName::<Counter>::new(2);
        for name in ["b", "a", "c", "d", "a"] {
            names.get(name).add(1);
        }
        let all: Vec<_> = names.all().into_iter().map(|(name, counter)| (name.to_string(), counter.get())).collect();
        assert_eq!(all, [("a".into(), 2), ("b".into(), 1), ("other".to_owned(), 2)]);
    }
}
