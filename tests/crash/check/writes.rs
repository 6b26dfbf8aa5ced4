//! Compares writes with the log: answered writes are in it, refused ones are not, and every event was requested.

use std::collections::{HashMap, HashSet};

use petstream::wire::event::{EventKind, Topic};

use crate::history::{Event, Key};
use crate::log::Log;
use crate::writer::{Outcome, What, Write};

/// The differences between the answers to writers and the log.
pub(crate) fn check(log: &Log, writes: &[Write]) -> Vec<String> {
    let mut found = Vec::new();
    let events: HashMap<(Key, u64), &Event> =
        log.events.iter().map(|event| ((event.key(), event.version()), event)).collect();
    let deletions: HashMap<Key, &Event> =
        log.events.iter().filter(|event| event.resource().is_none()).map(|event| (event.key(), event)).collect();
    let mut claimed: HashSet<&str> = HashSet::new();
    // An order that is set to its own status does not change, and has the answer of another write.
    let (moves, others): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.what == What::Move);
    for write in others.into_iter().chain(moves) {
        match &write.outcome {
            Outcome::Done(_) => match answered(write, &events, &deletions) {
                Ok(event) if !claimed.insert(&event.id) && write.what != What::Move => {
                    found.push(format!("{} was answered twice, the second time to {write:?}", event.id));
                }
                Ok(_) => {}
                Err(why) => found.push(why),
            },
            Outcome::Strange(status, text) => found.push(format!("{write:?} was answered {status}: {text}")),
            Outcome::Refused(_) | Outcome::Doubt => {}
        }
    }
    found.extend(refused(log, writes));
    found.extend(unasked(log, writes, &claimed));
    found
}

/// The event of an answered write.
fn answered<'a>(
    write: &Write,
    events: &HashMap<(Key, u64), &'a Event>,
    deletions: &HashMap<Key, &'a Event>,
) -> Result<&'a Event, String> {
    let topic = if matches!(write.what, What::Place | What::Move) { Topic::Orders } else { Topic::Pets };
    let event = match &write.outcome {
        Outcome::Done(Some(resource)) => {
            let id = resource["id"].as_str().unwrap_or_default().to_owned();
            let event = events.get(&((topic, id), resource["version"].as_u64().unwrap_or_default()));
            if let Some(event) = event.filter(|event| event.resource() != Some(resource)) {
                return Err(format!("{write:?} has an answer that differs from its event: {event:?}"));
            }
            event
        }
        _ => deletions.get(&(topic, write.target.clone().unwrap_or_default())),
    };
    event.copied().ok_or_else(|| format!("{write:?} was answered, and is lost"))
}

/// Refused writes that have an event nevertheless.
fn refused(log: &Log, writes: &[Write]) -> Vec<String> {
    let refused = writes.iter().filter(|write| matches!(write.outcome, Outcome::Refused(_)));
    let refused: HashSet<&str> = refused.map(|write| write.tag.as_str()).collect();
    let tag = |event: &Event| event.data["resource"]["description"].as_str().unwrap_or_default().to_owned();
    let done = log.events.iter().filter(|event| refused.contains(tag(event).as_str()));
    done.map(|event| format!("{} is of a write that was refused", event.id)).collect()
}

/// Events of pets and orders that belong neither to an answer nor to a write without an answer.
fn unasked(log: &Log, writes: &[Write], claimed: &HashSet<&str>) -> Vec<String> {
    let mut doubts: HashMap<&str, Vec<&Write>> = HashMap::new();
    for write in writes.iter().filter(|write| write.outcome == Outcome::Doubt) {
        doubts.entry(write.target.as_deref().unwrap_or_default()).or_default().push(write);
    }
    let mut found = Vec::new();
    let mut before: Option<&Event> = None;
    for event in &log.events {
        let order = before.replace(event);
        let (topic, id) = event.key();
        if claimed.contains(event.id.as_str()) || matches!(topic, Topic::Inventory | Topic::Notifications) {
            continue;
        }
        let by_its_order = event.kind() == EventKind::PetStatusChanged
            && order.is_some_and(|order| order.data["resource"]["petId"] == id.as_str());
        let of_it = doubts.get_mut(id.as_str());
        let doubt = of_it.and_then(|of_it| {
            let at = of_it.iter().position(|write| can_have_made(write, event))?;
            Some(of_it.swap_remove(at))
        });
        if !by_its_order && doubt.is_none() {
            found.push(format!("no request made {event:?}"));
        }
    }
    found
}

fn can_have_made(write: &Write, event: &Event) -> bool {
    match write.what {
        What::Edit => event.data["resource"]["description"] == write.tag.as_str(),
        What::Delete => event.key().0 == Topic::Pets && event.resource().is_none(),
        What::Move => event.kind() == EventKind::OrderStatusChanged,
        // They are repeated until they are answered.
        What::Create | What::Place => false,
    }
}
