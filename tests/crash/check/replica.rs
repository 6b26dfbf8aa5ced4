//! What a subscriber makes of what it was told: by versions, it ends with the store as it is.

use std::collections::{HashMap, HashSet};

use petstream::wire::event::Topic;
use serde_json::Value;

use super::States;
use crate::history::{Event, History, Key, List, Step};
use crate::log::Log;
use crate::snapshot;
use test_support::event_stream::seq;

/// A store as a subscriber knows it: versions, and what is not gone.
type Known<'a> = HashMap<Key, (u64, Option<&'a Value>)>;

/// What is wrong with what a subscriber knows at the end, and with the states that it has read.
pub(crate) fn check(log: &Log, states: &States<'_>, history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut known = Known::new();
    // Who has heard everything from the beginning on knows what there was before it.
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
                // What is in no list is gone; what is newer in a list than in an event is told once more.
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

/// Takes over what is newer than what is known.
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

/// A list must be the state of its cursor; where it was read in several pages, each resource may be newer.
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

/// What is known and not so, and, of one who knows everything, what is so and not known.
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
