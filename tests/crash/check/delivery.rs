//! Checks the deliveries to a subscriber: each event of its topics once, in order and with the right `prev`; or a
//! reset, and then the state.

use petstream::wire::event::Topics;
use serde_json::Value;

use crate::history::{Event, History, List, Step};
use crate::log::Log;
use crate::snapshot;

/// The violations in a history. Where the log is not pruned, a reset is a violation.
pub(crate) fn check(log: &Log, history: &History, forgets: bool) -> Vec<String> {
    let due: Vec<&Event> = log.of(history.topics).collect();
    let mut reader = Reader { log, history, forgets, due, at: None, at_reset: false, owed: false, found: Vec::new() };
    history.steps.iter().for_each(|step| reader.step(step));
    if reader.owed {
        reader.object("the state was never read after a reset");
    }
    if let Some(missed) = reader.next() {
        reader.object(&format!("lost {} and what comes after it, at the end", missed.id));
    }
    reader.found
}

struct Reader<'a> {
    log: &'a Log,
    history: &'a History,
    forgets: bool,
    /// The events of its topics.
    due: Vec<&'a Event>,
    /// The last event that it has received or does not need; none at the beginning.
    at: Option<u64>,
    /// The stream was not resumed, and the reset has not arrived yet.
    at_reset: bool,
    /// A reset has arrived, and the state has not been read yet.
    owed: bool,
    found: Vec<String>,
}

impl<'a> Reader<'a> {
    fn object(&mut self, what: &str) {
        self.found.push(format!("{}: {what}", self.history.name));
    }

    /// The next event that it must receive.
    fn next(&self) -> Option<&'a Event> {
        let at = self.at.unwrap_or(0);
        self.due.get(self.due.partition_point(|event| event.seq() <= at)).copied()
    }

    /// The number in a cursor, which must be of this log and not after its head.
    fn seq(&mut self, id: &str) -> u64 {
        let (epoch, seq) = id.split_once('.').unwrap_or_default();
        let seq = seq.parse().unwrap_or(u64::MAX);
        if epoch != self.log.epoch || seq > self.log.head() {
            self.object(&format!("the cursor {id} is of no event of this log"));
        }
        seq
    }

    fn step(&mut self, step: &Step) {
        if self.owed && !matches!(step, Step::Read(_)) {
            self.object(&format!("after a reset the state is not read, but: {step:?}"));
            self.owed = false;
        }
        if self.at_reset && !matches!(step, Step::Reset { .. } | Step::Cut | Step::Left) {
            self.object(&format!("it was not resumed, yet not reset, but: {step:?}"));
        }
        self.at_reset = false;
        match step {
            Step::Open { asked, resumed, id, head } => {
                self.open(asked.as_deref(), *resumed, id.as_deref());
                if head.is_some_and(|head| head > self.log.head() || self.at.is_some_and(|at| head < at)) {
                    self.object(&format!("the last event was said to be {head:?}"));
                }
            }
            Step::Event(event, name) => self.event(event, name),
            Step::Moved(id) => self.moved(id),
            Step::Reset { id, data } => self.reset(id, data),
            Step::Read(lists) => self.read(lists),
            Step::Cut | Step::Left => {}
        }
    }

    fn open(&mut self, asked: Option<&str>, resumed: bool, id: Option<&str>) {
        let to = id.map(|id| self.seq(id));
        let from = asked.filter(|asked| *asked != "earliest").map(|asked| self.seq(asked));
        match (asked, resumed, to) {
            // From the head, or from the first kept event.
            (None, false, Some(to)) if self.at.is_none() => self.at = Some(to),
            (Some("earliest"), true, Some(to)) if self.at.is_none() && (self.forgets || to == 0) => self.at = Some(to),
            (Some(asked), true, Some(to)) if self.at == Some(to) && id == Some(asked) => {}
            (Some(_), false, None) if self.at.is_some() && self.at == from => self.at_reset = true,
            _ => self.object(&format!("at {:?} it asked for {asked:?} and got {id:?}, resumed: {resumed}", self.at)),
        }
    }

    fn event(&mut self, event: &Event, name: &str) {
        let seq = self.seq(&event.id);
        let Some(place) = self.due.iter().position(|due| due.seq() == seq) else {
            return self.object(&format!("{} is none of its topics' events: {event:?}", event.id));
        };
        if self.at.is_none_or(|at| seq <= at) {
            return self.object(&format!("{} was told at {:?}: twice, or too late", event.id, self.at));
        }
        if let Some(next) = self.next().filter(|next| next.seq() < seq) {
            self.object(&format!("lost {}, which comes before {}", next.id, event.id));
        }
        self.at = Some(seq);
        let prev = place.checked_sub(1).map_or(0, |before| self.due[before].seq());
        if event.prev != prev {
            self.object(&format!("{} names {} as the one before it, which is {prev}", event.id, event.prev));
        }
        if event.data != self.due[place].data {
            self.object(&format!("{} is not what was committed: {event:?}", event.id));
        }
        let kind = if self.history.named { event.kind().name() } else { "message" };
        if name != kind {
            self.object(&format!("{} was dispatched as {name}", event.id));
        }
    }

    fn moved(&mut self, id: &str) {
        let seq = self.seq(id);
        if self.at.is_none_or(|at| seq < at) {
            self.object(&format!("its cursor went back from {:?} to {seq}", self.at));
        }
        if let Some(lost) = self.next().filter(|next| next.seq() <= seq) {
            self.object(&format!("lost {}, which comes before the cursor {id}", lost.id));
        }
        self.at = Some(seq);
    }

    fn reset(&mut self, id: &str, data: &Value) {
        let seq = self.seq(id);
        let at = self.at.unwrap_or(0);
        let oldest = data["oldest"].as_u64().unwrap_or_default();
        if !self.forgets || data["reason"] != "too-old" || oldest <= at + 1 || oldest > self.log.head() + 1 {
            self.object(&format!("a reset at {at} without a reason: {data}"));
        }
        let state = state(self.history.topics);
        if data["epoch"] != self.log.epoch || data["head"] != seq || data["snapshot"].as_str() != state || seq < at {
            self.object(&format!("a reset to {id} says: {data}"));
        }
        (self.at, self.owed) = (Some(seq), state.is_some());
    }

    fn read(&mut self, lists: &[List]) {
        let topics: Topics = lists.iter().map(|list| list.topic).collect();
        let wanted: Topics = self.history.topics.iter().filter(|topic| snapshot::path(*topic).is_some()).collect();
        if topics != wanted {
            self.object(&format!("the state of {topics:?} was read"));
        }
        let cursors: Vec<u64> = lists.iter().map(|list| self.seq(&list.cursor)).collect();
        let oldest = cursors.into_iter().min();
        match self.at {
            None => self.at = oldest,
            Some(at) if oldest < Some(at) => self.object(&format!("at {at} the state of {oldest:?} was read")),
            Some(_) => {}
        }
        self.owed = false;
    }
}

/// The list that a reset must name for the state.
fn state(topics: Topics) -> Option<&'static str> {
    topics.iter().find_map(snapshot::path)
}
