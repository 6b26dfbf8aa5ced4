//! The committed events, read from the database: while no server runs, or all the time where several do.

use std::path::Path;
use std::time::Duration;

use petstream::store::Store;
use petstream::store::event_log::{EventLog, LogPage, LoggedEvent};
use petstream::wire::event::{LastSeqs, Topics};
use serde_json::Value;

use crate::history::{Event, Key, List};
use test_support::event_stream::seq;
use test_support::test_database::TestDatabase;

/// Time between two reads of a log that is followed. A server keeps more events than are written meanwhile.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(20);

/// All committed events, and the state before the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The epoch of the log.
    pub(crate) epoch: String,
    /// The state before the first event.
    pub(crate) base: Vec<List>,
    /// `prev` is that of a stream of all topics.
    pub(crate) events: Vec<Event>,
    /// The last event of each topic before each event, where the log holds it.
    pub(crate) lasts: Vec<Option<LastSeqs>>,
}

impl Log {
    pub(crate) fn head(&self) -> u64 {
        self.events.last().map_or(0, Event::seq)
    }

    /// The state before the first event, by key.
    pub(crate) fn base(&self) -> impl Iterator<Item = (Key, &Value)> {
        self.base.iter().flat_map(|list| list.resources.iter().map(|resource| (list.key(resource), resource)))
    }

    /// The events of `topics`.
    pub(crate) fn of(&self, topics: Topics) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| topics.contains(event.kind().topic()))
    }

    /// The last event of each topic.
    pub(crate) fn ends(&self) -> LastSeqs {
        let mut lasts = LastSeqs::default();
        self.events.iter().for_each(|event| lasts.note(event.kind().topic(), event.seq()));
        lasts
    }

    /// Reads new events from the database that a killed server has left. Of SQLite's files in `folder` it reads a
    /// copy: the first to open a database recovers it, and that must be the next server.
    pub(crate) async fn read_left_behind(&mut self, database: &TestDatabase, folder: &Path) {
        let copy = tempfile::tempdir().unwrap();
        let url = match database {
            TestDatabase::Postgres(_) | TestDatabase::PostgresRedis(..) => database.url().to_owned(),
            TestDatabase::Sqlite(_) => {
                for name in ["petstream.db", "petstream.db-wal"] {
                    if folder.join(name).exists() {
                        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
                    }
                }
                format!("sqlite:{}", copy.path().join("petstream.db").display())
            }
        };
        let store = Store::open(&url).await.unwrap();
        self.read_new(&EventLog::new(store.clone())).await;
        store.close().await;
    }

    /// Reads new events.
    async fn read_new(&mut self, log: &EventLog) {
        let LogPage { at, events, .. } = log.read(Topics::ALL, self.head(), u32::MAX, usize::MAX).await.unwrap();
        assert!(at.pruned <= self.head() && at.head >= self.head(), "unread events are gone: {at:?}, {}", self.head());
        at.epoch.as_str().clone_into(&mut self.epoch);
        for event in events {
            self.lasts.push(Some(event.prev));
            self.events.push(told(&self.epoch, &event));
        }
    }

    /// Adds a page of JSON that was requested from the head. Returns whether it was empty.
    pub(crate) fn take(&mut self, page: &Value) -> bool {
        assert_eq!(page["reset"], Value::Null);
        let events = page["events"].as_array().unwrap();
        for event in events {
            let id = event["id"].as_str().unwrap();
            assert!(seq(id) > self.head(), "{id} after {}", self.head());
            self.lasts.push(None);
            self.events.push(Event::new(id, event["data"].clone()));
        }
        events.is_empty()
    }
}

/// Reads new events all the time: servers that run delete old ones.
pub(crate) struct Follower {
    log: Log,
    events: EventLog,
    store: Store,
}

impl Follower {
    pub(crate) async fn open(database: &TestDatabase, log: Log) -> Self {
        let store = Store::open(database.url()).await.unwrap();
        Self { log, events: EventLog::new(store.clone()), store }
    }

    /// Follows the log until `over`, and returns it up to its end.
    pub(crate) async fn follow(mut self, over: tokio_util::sync::CancellationToken) -> Log {
        loop {
            let is_over = over.is_cancelled();
            self.log.read_new(&self.events).await;
            if is_over {
                self.store.close().await;
                return self.log;
            }
            let _ = tokio::time::timeout(FOLLOW_INTERVAL, over.cancelled()).await;
        }
    }
}

/// An event of the log in the form of a stream of all topics.
fn told(epoch: &str, event: &LoggedEvent) -> Event {
    let LoggedEvent { seq, kind, id, version, at, prev, body } = event;
    let prev = prev.of(Topics::ALL);
    let data = format!(
        "{{\"type\":\"{}\",\"id\":\"{id}\",\"version\":{version},\"prev\":{prev},\"time\":\"{at:.3}\",{body}}}",
        kind.name()
    );
    Event::new(&format!("{epoch}.{seq}"), serde_json::from_str(&data).unwrap())
}
