//! Subscribers, each with habits of its own.

use std::time::Duration;

use petstream::wire::event::{Topic, Topics};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::history::{Event, History, Step};
use crate::shared_state::SharedState;
use crate::snapshot;
use test_support::event_stream::{Parser, Seen, get, seq};
use test_support::http::{Answer, Piece, Request};
use test_support::random::Random;

/// The start of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Now,
    Earliest,
    /// With the current state, and the cursor of that state.
    Snapshot,
}

/// The transport of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A stream, resumed by the header `Last-Event-ID`.
    Header,
    /// A stream, resumed by a query parameter.
    Query,
    /// Pages of JSON.
    Poll,
}

/// The behaviour of a subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habit {
    pub(crate) name: &'static str,
    pub(crate) topics: &'static [Topic],
    pub(crate) way: Way,
    pub(crate) named: bool,
    pub(crate) begin: Begin,
    /// It disconnects by itself, and stays away for at most so many restarts; none: it never does.
    pub(crate) leaves: Option<usize>,
}

pub(crate) struct Subscriber<'a> {
    shared: &'a SharedState,
    habit: Habit,
    random: Random,
    topics: Topics,
    target: String,
    /// The cursor from which it resumes.
    cursor: Option<String>,
    history: History,
}

impl<'a> Subscriber<'a> {
    pub(crate) fn new(shared: &'a SharedState, habit: Habit, random: Random) -> Self {
        let topics: Topics = habit.topics.iter().copied().collect();
        let names: Vec<_> = topics.iter().map(Topic::name).collect();
        // By the most specific endpoint.
        let target = match names.as_slice() {
            [one] => format!("/api/events/{one}?"),
            all if topics == Topics::ALL && all.len() == 4 => "/api/events?".to_owned(),
            some => format!("/api/events?topics={}&", some.join(",")),
        };
        let cursor = (habit.begin == Begin::Earliest).then(|| "earliest".to_owned());
        let history = History { name: habit.name, topics, named: habit.named, steps: Vec::new() };
        Self { shared, habit, random, topics, target, cursor, history }
    }

    /// Reads until the last event of the run; returns its history.
    pub(crate) async fn listen(mut self) -> History {
        if self.habit.begin == Begin::Snapshot {
            self.read_state().await;
        }
        loop {
            let over = if self.habit.way == Way::Poll { self.poll().await } else { self.stream().await };
            if over {
                return self.history;
            }
        }
    }

    async fn read_state(&mut self) {
        let limit = self.random.between(5, 30);
        let lists = snapshot::read(self.shared, self.topics, limit).await;
        let step = Step::Read(lists);
        // After a reset it has a cursor already, and a stream that continues.
        if self.cursor.is_none() {
            self.cursor = step.cursor().map(str::to_owned);
        }
        self.history.steps.push(step);
    }

    /// Records a step, and reads the state after a reset.
    async fn note(&mut self, step: Step) {
        if let Some(cursor) = step.cursor() {
            self.cursor = Some(cursor.to_owned());
        }
        let reset = matches!(step, Step::Reset { .. });
        self.history.steps.push(step);
        if reset && self.topics.iter().any(|topic| snapshot::path(topic).is_some()) {
            self.read_state().await;
        }
    }

    /// Whether it has seen everything up to `end`.
    fn has_seen(&self, end: u64) -> bool {
        self.cursor.as_deref().is_some_and(|cursor| cursor != "earliest" && seq(cursor) >= end)
    }

    /// Reads one stream to its end; returns whether the last event has arrived.
    async fn stream(&mut self) -> bool {
        let mut target = self.target.clone();
        if !self.habit.named {
            target.push_str("named=false&");
        }
        let request = match (self.habit.way, &self.cursor) {
            (Way::Query, Some(cursor)) => get(&format!("{target}last_event_id={cursor}")),
            (_, Some(cursor)) => get(&target).header("last-event-id", cursor),
            (_, None) => get(&target),
        };
        let asked = self.cursor.clone();
        let mut connection = self.shared.connect().await;
        let Some(answer) = connection.begin_unless_gone(&request).await else { return false };
        assert_eq!(answer.status(), 200, "{}", self.habit.name);
        let Some(over) = self.hear(answer, asked.as_deref()).await else {
            drop(connection);
            let restarts = self.random.below(self.habit.leaves.unwrap_or(0) + 1);
            self.shared.away(restarts).await;
            return false;
        };
        over
    }

    /// Whether the last event has arrived; none: the subscriber disconnected.
    async fn hear(&mut self, mut answer: Answer<'_>, asked: Option<&str>) -> Option<bool> {
        let (mut parser, shared) = (Parser::default(), self.shared);
        let leaves = self.habit.leaves.is_some() && !self.shared.life().settled;
        // Some streams are left at once, some stay until they are cut.
        let stay = Duration::from_millis(self.random.below(1_000) as u64);
        let leave = tokio::time::sleep_until(Instant::now() + stay);
        tokio::pin!(leave);
        let (mut end, mut quiet) = (None, false);
        loop {
            let piece = tokio::select! {
                piece = answer.piece() => piece,
                last = shared.end(self.topics), if end.is_none() => {
                    (end, quiet) = (Some(last), false);
                    continue;
                }
                () = &mut leave, if leaves && end.is_none() => {
                    self.history.steps.push(Step::Left);
                    return None;
                }
            };
            let Piece::Data(bytes) = piece else {
                self.history.steps.push(Step::Cut);
                return Some(false);
            };
            for seen in parser.push(&bytes) {
                quiet = matches!(&seen, Seen::Message(message) if message.event == "heartbeat");
                let step = match seen {
                    Seen::Message(message) => Step::of(message, asked),
                    Seen::Id(id) => Some(Step::Moved(id)),
                    Seen::Retry(_) | Seen::Comment(_) => None,
                };
                if let Some(step) = step {
                    self.note(step).await;
                }
            }
            // A heartbeat after the last event: no event arrived twice.
            if quiet && end.is_some_and(|end| self.has_seen(end)) {
                return Some(true);
            }
        }
    }

    /// Reads some pages on one connection; returns whether the last event has arrived.
    async fn poll(&mut self) -> bool {
        let limit = self.random.one(&[1, 7, 40, 1_000]);
        let mut connection = self.shared.connect().await;
        for _ in 0..self.random.between(1, 30) {
            // No long poll once all writes are over.
            let end = self.shared.life().ends.map(|ends| ends.of(self.topics));
            let wait = if end.is_some() { 0 } else { self.random.below(3) };
            let after = self.cursor.as_ref().map_or(String::new(), |cursor| format!("&after={cursor}"));
            let request = Request::new("GET", &format!("{}wait={wait}&limit={limit}{after}", self.target));
            let Some(answer) = connection.ask_unless_gone(&request).await else {
                self.history.steps.push(Step::Cut);
                return false;
            };
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            if page["events"] == json!([]) && end.is_some_and(|end| self.has_seen(end)) {
                return true;
            }
            self.turn(&page).await;
        }
        false
    }

    /// Records the events of a page.
    async fn turn(&mut self, page: &Value) {
        let cursor = page["cursor"].as_str().unwrap().to_owned();
        let events = page["events"].as_array().unwrap();
        let asked = self.cursor.clone();
        if asked.as_deref().is_none_or(|asked| asked == "earliest") {
            // A page has no greeting: its beginning is inferred from its first event.
            let first = events.first().map(|event| seq(event["id"].as_str().unwrap()) - 1);
            let from = if asked.is_some() { Some(0) } else { first };
            let id = from.map_or_else(|| cursor.clone(), |from| format!("{}.{from}", epoch(&cursor)));
            self.note(Step::Open { resumed: asked.is_some(), asked, id: Some(id), head: None }).await;
        }
        for event in events {
            let name = event["event"].as_str().unwrap().to_owned();
            let event = Event::new(event["id"].as_str().unwrap(), event["data"].clone());
            self.note(Step::Event(event, name)).await;
        }
        if page["reset"].is_null() {
            self.note(Step::Moved(cursor)).await;
        } else {
            self.note(Step::Reset { id: cursor, data: page["reset"].clone() }).await;
        }
    }
}

fn epoch(cursor: &str) -> &str {
    cursor.split('.').next().unwrap_or_default()
}
