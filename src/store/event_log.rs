//! The event log: events are appended in the transaction of the change that they report, and read in pages.
//!
//! Numbers are dense and follow the order of commits. A row with the state of the log (`event_head`) is locked by each
//! append until its commit, so the next transaction gets the next numbers and commits later.

use jiff::Timestamp;

use super::database::{Executor, Row};
use super::epoch::random_epoch;
use super::error::StoreError;
use super::handle::Store;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::wire::event::{Cursor, Epoch, EventKind, LastSeqs, Topic, Topics};

/// The columns of an event. They are named, here and for other tables, so that a prepared statement stays valid when the
/// server of a later version adds a column.
const EVENT_COLUMNS: &str = "seq, topic, kind, resource_id, version, at, body, prev_pets, prev_orders, prev_inventory, \
                             prev_notifications";
/// The columns of the state of the log.
const HEAD_COLUMNS: &str = "epoch, head, pruned, last_pets, last_orders, last_inventory, last_notifications";

/// An event before it has a number.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The kind of the event.
    pub kind: EventKind,
    /// The id of the resource.
    pub id: String,
    /// The version of the resource after the change.
    pub version: u64,
    /// The resource in the shape of its GET; `None` if it was deleted.
    pub resource: Option<serde_json::Value>,
    /// The status before a change of status.
    pub old: Option<String>,
    /// The status after a change of status.
    pub new: Option<String>,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The number of the event.
    pub seq: u64,
    /// The kind of the event.
    pub kind: EventKind,
    /// The id of the resource.
    pub id: String,
    /// The version of the resource after the change.
    pub version: u64,
    /// Time of the change.
    pub at: Timestamp,
    /// The last event of each topic before this event.
    pub prev: LastSeqs,
    /// The members of the event's JSON from `"resource"` on, without braces.
    pub body: String,
}

/// The state of the log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The identity of the log.
    pub epoch: Epoch,
    /// The number of the last event; 0 if there never was one.
    pub head: u64,
    /// The number of the last deleted event. A reader with an older cursor has missed events.
    pub pruned: u64,
    /// The number of the last event of each topic.
    pub lasts: LastSeqs,
}

impl LogPosition {
    /// The cursor right after the last event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch.clone(), seq: self.head }
    }
}

impl WriteTransaction {
    /// Appends events of the change that this transaction makes; returns the number of the last one.
    pub(crate) async fn append_events(&mut self, at: Timestamp, events: &[NewEvent]) -> Result<u64, StoreError> {
        let mut connection = self.connection();
        let sql = format!("UPDATE event_head SET head = head + $1 RETURNING {HEAD_COLUMNS}");
        let query = connection.again().built(sql);
        let row = query.bind(events.len() as i64).fetch_one().await?;
        let position = position_of(&row)?;
        let mut lasts = position.lasts;
        let first = position.head + 1 - events.len() as u64;
        for (seq, event) in (first..).zip(events) {
            insert(connection.again(), at, seq, event, &lasts).await?;
            lasts.note(event.kind.topic(), seq);
        }
        let [pets, orders, inventory, notifications] = lasts.0.map(u64::cast_signed);
        let sql = "UPDATE event_head \
                   SET last_pets = $1, last_orders = $2, last_inventory = $3, last_notifications = $4";
        connection.query(sql).bind(pets).bind(orders).bind(inventory).bind(notifications).execute().await?;
        Ok(position.head)
    }
}

impl ReadTransaction {
    /// The state of the log in this snapshot. Read first, it fixes what the statements after it see.
    pub(crate) async fn event_position(&mut self) -> Result<LogPosition, StoreError> {
        select_position(self.connection()).await
    }
}

async fn insert(
    connection: Executor<'_>,
    at: Timestamp,
    seq: u64,
    event: &NewEvent,
    prev: &LastSeqs,
) -> Result<(), StoreError> {
    let [pets, orders, inventory, notifications] = prev.0.map(u64::cast_signed);
    connection
        .built(format!("INSERT INTO events ({EVENT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"))
        .bind(seq.cast_signed())
        .bind(event.kind.topic().name())
        .bind(event.kind.name())
        .bind_text(&event.id)
        .bind(event.version.cast_signed())
        .bind(at.as_millisecond())
        .bind(body(event))
        .bind(pets)
        .bind(orders)
        .bind(inventory)
        .bind(notifications)
        .execute()
        .await?;
    Ok(())
}

fn body(event: &NewEvent) -> String {
    let json = |value: &serde_json::Value| value.to_string();
    let resource = event.resource.as_ref().map_or_else(|| "null".to_owned(), json);
    let mut body = format!("\"resource\":{resource}");
    for (name, value) in [("old", &event.old), ("new", &event.new)] {
        if let Some(value) = value {
            body.push_str(&format!(",\"{name}\":{}", serde_json::Value::from(value.as_str())));
        }
    }
    body
}

/// Events after a position of the log.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The state of the log when they were read: if it was pruned beyond the position, events may be missing.
    pub at: LogPosition,
    /// The events, in order.
    pub events: Vec<LoggedEvent>,
    /// All events up to this number were searched.
    pub to: u64,
}

/// The event log of a store, for reading and pruning; cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {
    store: Store,
}

impl EventLog {
    /// The event log in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The state of the log.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn position(&self) -> Result<LogPosition, StoreError> {
        select_position(self.store.reader()).await
    }

    /// The first `limit` events of `topics` after number `after`, up to and including number `to`, in order.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn page(&self, topics: Topics, after: u64, to: u64, limit: u32) -> Result<Vec<LoggedEvent>, StoreError> {
        page(self.store.reader(), topics, after, to, (limit, usize::MAX)).await
    }

    /// The first events of `topics` after number `after`, in order: at most `limit`, and none after the one with which
    /// their bodies reach `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read(&self, topics: Topics, after: u64, limit: u32, max_bytes: usize) -> Result<LogPage, StoreError> {
        let mut transaction = self.store.begin_read().await?;
        let at = transaction.event_position().await?;
        let events = page(transaction.connection(), topics, after, at.head, (limit, max_bytes)).await?;
        transaction.end().await?;
        let is_last = events.len() < limit as usize && length(&events) < max_bytes;
        let to = events.last().filter(|_| !is_last).map_or(at.head, |last| last.seq);
        Ok(LogPage { at, events, to })
    }

    /// Appends events that belong to no change in the store, such as a notification, in a transaction of their own;
    /// returns the number of the last one. Sends no commit notification: subscribers see them at the next poll of the
    /// log.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn append_alone(&self, events: &[NewEvent]) -> Result<u64, StoreError> {
        let mut transaction = self.store.begin_write().await?;
        let head = transaction.append_events(transaction.at(), events).await?;
        transaction.commit().await?;
        Ok(head)
    }

    /// Deletes events that are older than `before` or not among the last `keep`: the oldest `limit` of them at most.
    /// Returns the number of deleted events.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune(&self, before: Timestamp, keep: u64, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.store.begin_write().await?;
        let at = select_position(transaction.connection()).await?;
        let aged = transaction.connection().query("SELECT max(seq) FROM events WHERE at < $1");
        let aged: Option<i64> = aged.bind(before.as_millisecond()).fetch_value().await?;
        let aged = aged.map_or(0, i64::cast_unsigned);
        let to = aged.max(at.head.saturating_sub(keep)).min(at.pruned + u64::from(limit)).max(at.pruned);
        let delete = transaction.connection().query("DELETE FROM events WHERE seq <= $1");
        delete.bind(to.cast_signed()).execute().await?;
        let update = transaction.connection().query("UPDATE event_head SET pruned = $1");
        update.bind(to.cast_signed()).execute().await?;
        transaction.commit().await?;
        Ok(to - at.pruned)
    }

    /// Sets a new epoch of the log, so that every earlier cursor leads to a reset. Done after a restore, since the
    /// numbers after the backup are assigned a second time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        let query = self.store.writable()?.query("UPDATE event_head SET epoch = $1 RETURNING epoch");
        let epoch: String = query.bind(random_epoch()).fetch_value().await?;
        epoch.parse().map_err(|_| StoreError::Corrupt("event_head.epoch".to_owned()))
    }
}

async fn page(
    executor: Executor<'_>,
    topics: Topics,
    after: u64,
    to: u64,
    (limit, max_bytes): (u32, usize),
) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut query = executor.built(format!("SELECT {EVENT_COLUMNS} FROM events WHERE seq > "));
    query.push_bind(after.cast_signed()).push(" AND seq <= ").push_bind(to.cast_signed());
    if topics != Topics::ALL {
        query.push(" AND topic IN (");
        for (number, topic) in topics.iter().enumerate() {
            query.push(if number == 0 { "" } else { ", " }).push_bind(topic.name());
        }
        query.push(")");
    }
    query.push(" ORDER BY seq LIMIT ").push_bind(i64::from(limit));
    let (mut events, mut bytes) = (Vec::new(), 0);
    query
        .visit(|row| {
            let event = event_of(row)?;
            bytes += event.body.len();
            events.push(event);
            Ok(bytes < max_bytes)
        })
        .await?;
    Ok(events)
}

fn length(events: &[LoggedEvent]) -> usize {
    events.iter().map(|event| event.body.len()).sum()
}

async fn select_position(executor: Executor<'_>) -> Result<LogPosition, StoreError> {
    position_of(&executor.built(format!("SELECT {HEAD_COLUMNS} FROM event_head")).fetch_one().await?)
}

fn position_of(row: &Row) -> Result<LogPosition, StoreError> {
    let epoch: String = row.get("epoch")?;
    Ok(LogPosition {
        epoch: epoch.parse().map_err(|_| StoreError::Corrupt("event_head.epoch".to_owned()))?,
        head: number(row, "head")?,
        pruned: number(row, "pruned")?,
        lasts: lasts(row, "last")?,
    })
}

fn event_of(row: &Row) -> Result<LoggedEvent, StoreError> {
    let seq = number(row, "seq")?;
    let corrupt = |column: &str| StoreError::Corrupt(format!("events.{column} of event {seq}"));
    let kind: String = row.get("kind")?;
    Ok(LoggedEvent {
        seq,
        kind: EventKind::from_name(&kind).ok_or_else(|| corrupt("kind"))?,
        id: row.get("resource_id")?,
        version: number(row, "version")?,
        at: Timestamp::from_millisecond(row.get("at")?).map_err(|_| corrupt("at"))?,
        prev: lasts(row, "prev")?,
        body: row.get("body")?,
    })
}

fn lasts(row: &Row, prefix: &str) -> Result<LastSeqs, StoreError> {
    let mut lasts = LastSeqs::default();
    for topic in Topic::ALL {
        lasts.note(topic, number(row, &format!("{prefix}_{}", topic.name()))?);
    }
    Ok(lasts)
}

fn number(row: &Row, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn log() -> (EventLog, Store) {
        let store = Store::open("sqlite::memory:").await.unwrap();
        (EventLog::new(store.clone()), store)
    }

    async fn write(store: &Store, kinds: &[EventKind]) -> u64 {
        let event = |kind: &EventKind| NewEvent {
            kind: *kind,
            id: "x".into(),
            version: 1,
            resource: Some(serde_json::json!({"a": 1})),
            old: Some("A\"".into()),
            new: None,
        };
        let events: Vec<_> = kinds.iter().map(event).collect();
        EventLog::new(store.clone()).append_alone(&events).await.unwrap()
    }

    #[tokio::test]
    async fn numbers_are_dense_and_each_event_names_the_last_of_each_topic_before_it() {
        let (log, store) = log().await;
        assert_eq!(write(&store, &[EventKind::PetUpdate, EventKind::InventoryChanged]).await, 2);
        assert_eq!(write(&store, &[EventKind::OrderCreated, EventKind::PetStatusChanged]).await, 4);
        let all = log.page(Topics::ALL, 0, u64::MAX >> 1, 100).await.unwrap();
        assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(all.iter().map(|event| event.prev.of(Topics::ALL)).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let pets: Topics = [Topic::Pets].into_iter().collect();
        let some = log.page(pets, 0, 100, 100).await.unwrap();
        assert_eq!(some.iter().map(|event| (event.seq, event.prev.of(pets))).collect::<Vec<_>>(), [(1, 0), (4, 1)]);
        assert_eq!(all[0].body, r#""resource":{"a":1},"old":"A\"""#);
        assert_eq!(log.position().await.unwrap().lasts, LastSeqs([4, 3, 2, 0]));
    }

    #[tokio::test]
    async fn a_change_that_is_rolled_back_leaves_no_event_and_no_gap() {
        let (log, store) = log().await;
        let mut transaction = store.begin_write().await.unwrap();
        let event =
            NewEvent { kind: EventKind::PetUpdate, id: "x".into(), version: 1, resource: None, old: None, new: None };
        transaction.append_events(Timestamp::now(), &[event]).await.unwrap();
        drop(transaction);
        assert_eq!(write(&store, &[EventKind::OrderCreated]).await, 1);
        assert_eq!(log.position().await.unwrap().head, 1);
    }

    #[tokio::test]
    async fn pruning_deletes_the_oldest_events_and_numbers_are_not_reused() {
        let (log, store) = log().await;
        write(&store, &[EventKind::PetUpdate; 10]).await;
        let long_ago = Timestamp::UNIX_EPOCH;
        assert_eq!(log.prune(long_ago, 3, 100).await.unwrap(), 7);
        assert_eq!(log.prune(long_ago, 3, 100).await.unwrap(), 0);
        assert_eq!(log.page(Topics::ALL, 0, 100, 100).await.unwrap()[0].seq, 8);
        assert_eq!(log.prune(Timestamp::MAX, 3, 2).await.unwrap(), 2, "not more than the limit at once");
        assert_eq!(log.prune(Timestamp::MAX, 3, 100).await.unwrap(), 1);
        assert_eq!(log.position().await.unwrap().pruned, 10);
        assert_eq!(write(&store, &[EventKind::PetUpdate]).await, 11);
    }

    #[tokio::test]
    async fn rotating_changes_the_epoch() {
        let (log, _store) = log().await;
        let before = log.position().await.unwrap().epoch;
        let after = log.rotate_epoch().await.unwrap();
        assert_ne!(before, after);
        assert_eq!(log.position().await.unwrap().epoch, after);
    }
}
