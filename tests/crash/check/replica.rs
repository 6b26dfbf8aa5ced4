//! Replays the history of a subscriber by versions: it must end with the state of the store.

use std::collections::{HashMap, HashSet};

use petstream::wire::event::Topic;
use serde_json::Value;

use super::States;
use crate::history::{Event, History, Key, List, Step};
use crate::log::Log;
use crate::snapshot;
use test_support::event_stream::seq;

/// The state of a subscriber's copy: versions, and whether the resource exists.
type Known<'a> = HashMap<Key, (u64, Option<&'a Value>)>;

/// The violations in the final state of a subscriber, and in the lists that it has read.
pub(crate) fn check(log: &Log, states: &States<'_>, history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut known = Known::new();
    // A subscriber with all events has the state before the first too.
    let mut complete =
        matches!(history.steps.first(), Some(Step::Open { resumed: true, id: Some(id), .. }) if seq(id) == 0);
    if complete {
        let base = log.base().filter(|((topic, _), _)| history.topics.contains(*topic));
        known.extend(base.map(|(key, value)| (key, (value["version"].as_u64().unwrap_or(0), Some(value)))));
    }
    for step in &history.steps {
        match step {
            Step::Event(event, _) => found.extend(apply(&mut known, event)),
            Step::Read(lists) => {
                found.extend(lists.iter().flat_map(|list| read(states, list)));
                // A resource in no list is deleted; one that is newer in a list than in events arrives again.
                known.clear();
                for (list, value) in lists.iter().flat_map(|list| list.resources.iter().map(move |one| (list, one))) {
                    known.insert(list.key(value), (value["version"].as_u64().unwrap_or(0), Some(value)));
                }
                complete = true;
            }
            _ => {}
        }
    }
    found.extend(differences(states, log.head(), history, &known, complete));
    found.into_iter().map(|what| format!("{}: {what}", history.name)).collect()
}

/// Applies a version if it is newer.
fn apply<'a>(known: &mut Known<'a>, event: &'a Event) -> Option<String> {
    let (key, version) = (event.key(), event.version());
    let before = known.get(&key).map(|(version, _)| *version);
    if before.is_some_and(|before| version <= before) {
        return None;
    }
    let missed = before.filter(|before| version > before + 1);
    known.insert(key, (version, event.resource()));
    missed.map(|before| format!("{} makes version {version} of one that is known in version {before}", event.id))
}

/// A list must be the state at its cursor; in a list of several pages, a resource may be newer.
pub(crate) fn read(states: &States<'_>, list: &List) -> Vec<String> {
    let mut found = Vec::new();
    let at = seq(&list.cursor);
    let mut listed = HashSet::new();
    for value in &list.resources {
        let key = list.key(value);
        let number = value["version"].as_u64().unwrap_or_default();
        let least = states.at(&key, at).map_or(u64::from(list.pages > 1), |version| version.number);
        let fits = if list.pages > 1 { number >= least } else { number == least };
        if states.numbered(&key, number) != Some(value) || !fits {
            found.push(format!("the state of {} has {key:?} in version {number}, not {least}: {value}", list.cursor));
        }
        if !listed.insert(key.clone()) {
            found.push(format!("the state of {} has {key:?} twice", list.cursor));
        }
    }
    for (key, versions) in states.all().filter(|((topic, _), _)| *topic == list.topic) {
        let was_there = states.at(key, at).is_some();
        let may_be_gone = list.pages > 1 && versions.last().is_some_and(|last| last.value.is_none() && last.seq > at);
        if was_there && !may_be_gone && !listed.contains(key) {
            found.push(format!("the state of {} lacks {key:?}", list.cursor));
        }
    }
    found
}

/// Known resources that differ from the store; and, of a complete subscriber, unknown resources.
fn differences(states: &States<'_>, head: u64, history: &History, known: &Known<'_>, complete: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (key, (number, value)) in known {
        let last = states.versions(key).last();
        if last.is_none_or(|last| last.number != *number || last.value != *value) {
            found.push(format!("it knows {key:?} in version {number}, and there is {last:?}"));
        }
    }
    let told = |topic: Topic| complete && history.topics.contains(topic) && snapshot::path(topic).is_some();
    for (key, _) in states.all().filter(|((topic, _), _)| told(*topic)) {
        if states.at(key, head).is_some() && !known.contains_key(key) {
            found.push(format!("it does not know of {key:?}"));
        }
    }
    found
}
