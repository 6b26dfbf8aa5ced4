//! The log of events: written in the transaction of the change, read in pages.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::store::{Store, StoreError};
use crate::wire::event::{Cursor, Epoch, Kind, Lasts, Topic, Topics};

/// Something that happened, before it has a number.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What.
    pub kind: Kind,
    /// The id of the resource.
    pub id: String,
    /// The version of the resource after the change.
    pub version: u64,
    /// The resource as its GET shows it; none: it was deleted.
    pub resource: Option<serde_json::Value>,
    /// What changed, where one word says it: the status before.
    pub old: Option<String>,
    /// The status after.
    pub new: Option<String>,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number.
    pub seq: u64,
    /// What happened.
    pub kind: Kind,
    /// The id of the resource.
    pub id: String,
    /// The version of the resource after the change.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// The last event of each topic before this one.
    pub prev: Lasts,
    /// The members of its JSON from `"resource"` on, without braces.
    pub body: String,
}

/// Where the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// The last number given.
    pub head: u64,
    /// The last number deleted: older cursors have missed something.
    pub pruned: u64,
    /// The last number of each topic.
    pub lasts: Lasts,
}

impl Position {
    /// The cursor of somebody who has seen everything.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch.clone(), seq: self.head }
    }
}

/// Writes events within the transaction of the change that they tell of; gives the number of the last one.
///
/// # Errors
/// Whatever the database says.
pub(crate) async fn append(
    transaction: &mut SqliteConnection,
    at: Timestamp,
    events: &[NewEvent],
) -> Result<u64, StoreError> {
    // The row stays locked until the commit: whoever comes next gets the next numbers, and commits later.
    let row = sqlx::query("UPDATE event_head SET head = head + ? RETURNING *")
        .bind(events.len() as i64)
        .fetch_one(&mut *transaction)
        .await?;
    let position = position(&row)?;
    let mut lasts = position.lasts;
    let first = position.head + 1 - events.len() as u64;
    for (seq, event) in (first..).zip(events) {
        insert(transaction, at, seq, event, &lasts).await?;
        lasts.note(event.kind.topic(), seq);
    }
    let [pets, orders, inventory, notifications] = lasts.0.map(u64::cast_signed);
    sqlx::query("UPDATE event_head SET last_pets = ?, last_orders = ?, last_inventory = ?, last_notifications = ?")
        .bind(pets)
        .bind(orders)
        .bind(inventory)
        .bind(notifications)
        .execute(&mut *transaction)
        .await?;
    Ok(position.head)
}

async fn insert(
    transaction: &mut SqliteConnection,
    at: Timestamp,
    seq: u64,
    event: &NewEvent,
    prev: &Lasts,
) -> Result<(), StoreError> {
    let [pets, orders, inventory, notifications] = prev.0.map(u64::cast_signed);
    sqlx::query("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(seq.cast_signed())
        .bind(event.kind.topic().name())
        .bind(event.kind.name())
        .bind(&event.id)
        .bind(event.version.cast_signed())
        .bind(at.as_millisecond())
        .bind(body(event))
        .bind(pets)
        .bind(orders)
        .bind(inventory)
        .bind(notifications)
        .execute(&mut *transaction)
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

/// Reads the log, and keeps it in bounds.
#[derive(Clone, Debug)]
pub struct EventLog {
    store: Store,
}

impl EventLog {
    /// The log in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Where it stands.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn position(&self) -> Result<Position, StoreError> {
        position(&sqlx::query("SELECT * FROM event_head").fetch_one(self.store.reader()).await?)
    }

    /// The first `limit` events of `topics` after number `after`, up to and including number `to`, in order.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn page(&self, topics: Topics, after: u64, to: u64, limit: u32) -> Result<Vec<LoggedEvent>, StoreError> {
        page(&mut *self.store.reader().acquire().await?, topics, after, to, limit).await
    }

    /// The first `limit` events of `topics` after number `after`, in order, and where the log stood when they were read:
    /// if it has been pruned beyond `after`, some may be missing.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn read(
        &self,
        topics: Topics,
        after: u64,
        limit: u32,
    ) -> Result<(Position, Vec<LoggedEvent>), StoreError> {
        let mut transaction = self.store.reader().begin().await?;
        // The first statement fixes what the second one sees.
        let at = position(&sqlx::query("SELECT * FROM event_head").fetch_one(&mut *transaction).await?)?;
        let events = page(&mut transaction, topics, after, at.head, limit).await?;
        transaction.commit().await?;
        Ok((at, events))
    }

    /// Writes events that tell of no change in the store, such as a notification, in a transaction of their own; gives
    /// the number of the last one. Nobody's doorbell rings: readers find them when they look the next time.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn append_alone(&self, events: &[NewEvent]) -> Result<u64, StoreError> {
        let mut transaction = self.store.writable()?.begin_with("BEGIN IMMEDIATE").await?;
        let head = append(&mut transaction, Timestamp::now(), events).await?;
        transaction.commit().await?;
        Ok(head)
    }

    /// Deletes what is older than `before` or is not among the last `keep`, at most `most` events; gives how many went.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn prune(&self, before: Timestamp, keep: u64, most: u32) -> Result<u64, StoreError> {
        let mut transaction = self.store.writable()?.begin_with("BEGIN IMMEDIATE").await?;
        let at = position(&sqlx::query("SELECT * FROM event_head").fetch_one(&mut *transaction).await?)?;
        let aged: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM events WHERE at < ?")
            .bind(before.as_millisecond())
            .fetch_one(&mut *transaction)
            .await?;
        let aged = aged.map_or(0, i64::cast_unsigned);
        let to = aged.max(at.head.saturating_sub(keep)).min(at.pruned + u64::from(most)).max(at.pruned);
        sqlx::query("DELETE FROM events WHERE seq <= ?").bind(to.cast_signed()).execute(&mut *transaction).await?;
        sqlx::query("UPDATE event_head SET pruned = ?").bind(to.cast_signed()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(to - at.pruned)
    }

    /// Gives the log a new name, so that every cursor handed out before is answered with a reset: after a restore,
    /// whose numbers would else be given out twice.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        let epoch: String =
            sqlx::query_scalar("UPDATE event_head SET epoch = lower(hex(randomblob(4))) RETURNING epoch")
                .fetch_one(self.store.writable()?)
                .await?;
        epoch.parse().map_err(|_| StoreError::Corrupt("event_head.epoch".to_owned()))
    }
}

async fn page(
    connection: &mut SqliteConnection,
    topics: Topics,
    after: u64,
    to: u64,
    limit: u32,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM events WHERE seq > ");
    query.push_bind(after.cast_signed()).push(" AND seq <= ").push_bind(to.cast_signed());
    if topics != Topics::ALL {
        query.push(" AND topic IN (");
        let mut list = query.separated(", ");
        for topic in topics.iter() {
            list.push_bind(topic.name());
        }
        query.push(")");
    }
    query.push(" ORDER BY seq LIMIT ").push_bind(i64::from(limit));
    query.build().fetch_all(connection).await?.iter().map(event).collect()
}

pub(crate) fn position(row: &SqliteRow) -> Result<Position, StoreError> {
    let epoch: String = row.try_get("epoch")?;
    Ok(Position {
        epoch: epoch.parse().map_err(|_| StoreError::Corrupt("event_head.epoch".to_owned()))?,
        head: number(row, "head")?,
        pruned: number(row, "pruned")?,
        lasts: lasts(row, "last")?,
    })
}

fn event(row: &SqliteRow) -> Result<LoggedEvent, StoreError> {
    let seq = number(row, "seq")?;
    let corrupt = |column: &str| StoreError::Corrupt(format!("events.{column} of event {seq}"));
    let kind: String = row.try_get("kind")?;
    Ok(LoggedEvent {
        seq,
        kind: Kind::from_name(&kind).ok_or_else(|| corrupt("kind"))?,
        id: row.try_get("resource_id")?,
        version: number(row, "version")?,
        at: Timestamp::from_millisecond(row.try_get("at")?).map_err(|_| corrupt("at"))?,
        prev: lasts(row, "prev")?,
        body: row.try_get("body")?,
    })
}

fn lasts(row: &SqliteRow, prefix: &str) -> Result<Lasts, StoreError> {
    let mut lasts = Lasts::default();
    for topic in Topic::ALL {
        lasts.note(topic, number(row, &format!("{prefix}_{}", topic.name()))?);
    }
    Ok(lasts)
}

fn number(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn log() -> (EventLog, Store) {
        let store = Store::open("sqlite::memory:").await.unwrap();
        (EventLog::new(store.clone()), store)
    }

    async fn write(store: &Store, kinds: &[Kind]) -> u64 {
        let event = |kind: &Kind| NewEvent {
            kind: *kind,
            id: "x".into(),
            version: 1,
            resource: Some(serde_json::json!({"a": 1})),
            old: Some("A\"".into()),
            new: None,
        };
        let events: Vec<_> = kinds.iter().map(event).collect();
        let mut transaction = store.writer().begin_with("BEGIN IMMEDIATE").await.unwrap();
        let head = append(&mut transaction, Timestamp::now(), &events).await.unwrap();
        transaction.commit().await.unwrap();
        head
    }

    #[tokio::test]
    async fn numbers_are_dense_and_each_event_knows_what_came_before_it_in_any_set_of_topics() {
        let (log, store) = log().await;
        assert_eq!(write(&store, &[Kind::PetUpdate, Kind::InventoryChanged]).await, 2);
        assert_eq!(write(&store, &[Kind::OrderCreated, Kind::PetStatusChanged]).await, 4);
        let all = log.page(Topics::ALL, 0, u64::MAX >> 1, 100).await.unwrap();
        assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(all.iter().map(|event| event.prev.of(Topics::ALL)).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let pets: Topics = [Topic::Pets].into_iter().collect();
        let some = log.page(pets, 0, 100, 100).await.unwrap();
        assert_eq!(some.iter().map(|event| (event.seq, event.prev.of(pets))).collect::<Vec<_>>(), [(1, 0), (4, 1)]);
        assert_eq!(all[0].body, r#""resource":{"a":1},"old":"A\"""#);
        assert_eq!(log.position().await.unwrap().lasts, Lasts([4, 3, 2, 0]));
    }

    #[tokio::test]
    async fn a_change_that_is_rolled_back_leaves_no_event_and_no_gap() {
        let (log, store) = log().await;
        let mut transaction = store.writer().begin_with("BEGIN IMMEDIATE").await.unwrap();
        let event =
            NewEvent { kind: Kind::PetUpdate, id: "x".into(), version: 1, resource: None, old: None, new: None };
        append(&mut transaction, Timestamp::now(), &[event]).await.unwrap();
        drop(transaction);
        assert_eq!(write(&store, &[Kind::OrderCreated]).await, 1);
        assert_eq!(log.position().await.unwrap().head, 1);
    }

    #[tokio::test]
    async fn pruning_forgets_the_oldest_and_never_gives_a_number_twice() {
        let (log, store) = log().await;
        write(&store, &[Kind::PetUpdate; 10]).await;
        let long_ago = Timestamp::UNIX_EPOCH;
        assert_eq!(log.prune(long_ago, 3, 100).await.unwrap(), 7);
        assert_eq!(log.prune(long_ago, 3, 100).await.unwrap(), 0);
        assert_eq!(log.page(Topics::ALL, 0, 100, 100).await.unwrap()[0].seq, 8);
        assert_eq!(log.prune(Timestamp::MAX, 3, 2).await.unwrap(), 2, "a bounded piece at a time");
        assert_eq!(log.prune(Timestamp::MAX, 3, 100).await.unwrap(), 1);
        assert_eq!(log.position().await.unwrap().pruned, 10);
        assert_eq!(write(&store, &[Kind::PetUpdate]).await, 11);
    }

    #[tokio::test]
    async fn a_new_epoch_is_another() {
        let (log, _store) = log().await;
        let before = log.position().await.unwrap().epoch;
        let after = log.rotate_epoch().await.unwrap();
        assert_ne!(before, after);
        assert_eq!(log.position().await.unwrap().epoch, after);
    }
}
