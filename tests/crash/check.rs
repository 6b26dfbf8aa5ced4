//! Checks of a run. Each compares committed events, deliveries and answers, and returns violations. None panics, so
//! that tests can show that each reports wrong data.

pub(crate) mod delivery;
pub(crate) mod log;
pub(crate) mod replica;
mod tests;
pub(crate) mod writes;

use std::collections::HashMap;

use serde_json::Value;

use crate::history::Key;
use crate::log::Log;

/// One version of a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version<'a> {
    /// The number of its event; 0 for the state before all events.
    pub(crate) seq: u64,
    pub(crate) number: u64,
    /// None: it was deleted.
    pub(crate) value: Option<&'a Value>,
}

/// Every version of every resource, in order.
pub(crate) struct States<'a>(HashMap<Key, Vec<Version<'a>>>);

impl<'a> States<'a> {
    pub(crate) fn of(log: &'a Log) -> Self {
        let mut states: HashMap<Key, Vec<Version<'a>>> = HashMap::new();
        for (key, value) in log.base() {
            let number = value["version"].as_u64().unwrap_or_default();
            states.entry(key).or_default().push(Version { seq: 0, number, value: Some(value) });
        }
        for event in &log.events {
            let version = Version { seq: event.seq(), number: event.version(), value: event.resource() };
            states.entry(event.key()).or_default().push(version);
        }
        Self(states)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &[Version<'a>])> {
        self.0.iter().map(|(key, versions)| (key, versions.as_slice()))
    }

    /// All versions of one resource.
    pub(crate) fn versions(&self, key: &Key) -> &[Version<'a>] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// The version of a resource after event `seq`, if it existed.
    pub(crate) fn at(&self, key: &Key, seq: u64) -> Option<Version<'a>> {
        let versions = self.versions(key);
        versions.iter().rev().find(|version| version.seq <= seq).copied().filter(|version| version.value.is_some())
    }

    /// The version of a resource with this number, if it existed.
    pub(crate) fn numbered(&self, key: &Key, number: u64) -> Option<&'a Value> {
        self.versions(key).iter().find(|version| version.number == number)?.value
    }
}
