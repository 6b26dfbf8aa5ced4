//! Checks the log by itself: numbers, `prev` chains and versions without a gap.

use petstream::wire::event::{LastSeqs, Topic, Topics};

use super::States;
use crate::history::Event;
use crate::log::Log;

/// The violations in the log.
pub(crate) fn check(log: &Log) -> Vec<String> {
    let mut found = Vec::new();
    let mut lasts = LastSeqs::default();
    for ((number, event), told) in (1..).zip(&log.events).zip(&log.lasts) {
        if event.id != format!("{}.{number}", log.epoch) {
            found.push(format!("event {number} has the id {}", event.id));
        }
        if event.prev != lasts.of(Topics::ALL) || told.is_some_and(|told| told != lasts) {
            found.push(format!("{} names {} and {told:?} as the ones before it, not {lasts:?}", event.id, event.prev));
        }
        lasts.note(event.kind().topic(), event.seq());
    }
    found.extend(versions(log));
    found.extend(counts(log));
    found
}

/// The versions of each resource increase by one, and end with its deletion.
fn versions(log: &Log) -> Vec<String> {
    let mut found = Vec::new();
    for ((topic, id), versions) in States::of(log).all() {
        if let Some(first) = versions.first().filter(|first| first.seq > 0 && first.number != 1) {
            found.push(format!("{topic:?} {id} begins with version {} at event {}", first.number, first.seq));
        }
        for pair in versions.windows(2) {
            if pair[1].number != pair[0].number + 1 {
                let (before, after) = (pair[0].number, pair[1].number);
                found.push(format!("{topic:?} {id}: version {after} follows {before} at event {}", pair[1].seq));
            }
            if pair[0].value.is_none() {
                found.push(format!("{topic:?} {id} is there again at event {}", pair[1].seq));
            }
        }
    }
    found
}

/// The totals of inventory events must equal the counts of pets.
fn counts(log: &Log) -> Vec<String> {
    let mut pets = log.base().filter(|((topic, _), _)| *topic == Topic::Pets).count() as u64;
    let mut found = Vec::new();
    for event in &log.events {
        match event.key().0 {
            Topic::Pets if event.resource().is_none() => pets = pets.saturating_sub(1),
            Topic::Pets if event.version() == 1 => pets += 1,
            Topic::Inventory if event.data["resource"]["total"] != pets => found.push(miscounted(event, pets)),
            _ => {}
        }
    }
    found
}

fn miscounted(event: &Event, pets: u64) -> String {
    format!("{} counts {} pets, there are {pets}", event.id, event.data["resource"]["total"])
}
