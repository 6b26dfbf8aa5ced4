//! Live events as data: topics, kinds of events, and cursors. The wire format is in [`super::event_frame`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The subject of an event. Clients subscribe to topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Pets: created, changed, deleted.
    Pets,
    /// Orders: placed, changed.
    Orders,
    /// The number of pets by status.
    Inventory,
    /// Messages for people, such as a species running low.
    Notifications,
}

impl Topic {
    /// All topics, in the order in which they are stored.
    pub const ALL: [Self; 4] = [Self::Pets, Self::Orders, Self::Inventory, Self::Notifications];

    /// The name in URLs and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pets => "pets",
            Self::Orders => "orders",
            Self::Inventory => "inventory",
            Self::Notifications => "notifications",
        }
    }

    /// The topic of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// The name of the ephemeral topic of statistics. Its events have no ids, are not logged and are never replayed, so
/// that it is no [`Topic`].
pub const STATS_TOPIC: &str = "stats";

/// A set of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topics(u8);

impl Topics {
    /// All topics.
    pub const ALL: Self = Self(0b1111);
    /// No topics.
    pub const NONE: Self = Self(0);

    /// Whether `topic` is in the set.
    #[must_use]
    pub const fn contains(self, topic: Topic) -> bool {
        self.0 & (1 << topic as u8) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The topics in the set, in the order of [`Topic::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Topic> {
        Topic::ALL.into_iter().filter(move |topic| self.contains(*topic))
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        Self(topics.into_iter().fold(0, |set, topic| set | 1 << topic as u8))
    }
}

/// The kind of an event. To add one, follow the compiler: every `match` is exhaustive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A pet was created, changed other than in status, or deleted.
    PetUpdate,
    /// A pet's status changed.
    PetStatusChanged,
    /// An order was placed.
    OrderCreated,
    /// An order's status changed.
    OrderStatusChanged,
    /// The counts of the inventory changed.
    InventoryChanged,
    /// A message for people.
    Notification,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::PetUpdate,
        Self::PetStatusChanged,
        Self::OrderCreated,
        Self::OrderStatusChanged,
        Self::InventoryChanged,
        Self::Notification,
    ];

    /// The event's name in `event:` lines. Never `error` or `open`, which `EventSource` dispatches itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PetUpdate => "pet-update",
            Self::PetStatusChanged => "pet-status-changed",
            Self::OrderCreated => "order-created",
            Self::OrderStatusChanged => "order-status-changed",
            Self::InventoryChanged => "inventory-changed",
            Self::Notification => "notification",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The topic of events of this kind.
    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::PetUpdate | Self::PetStatusChanged => Topic::Pets,
            Self::OrderCreated | Self::OrderStatusChanged => Topic::Orders,
            Self::InventoryChanged => Topic::Inventory,
            Self::Notification => Topic::Notifications,
        }
    }
}

/// The sequence number of the last event of each topic, in the order of [`Topic::ALL`]; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSeqs(pub [u64; 4]);

impl LastSeqs {
    /// The last event of any of these topics.
    #[must_use]
    pub fn of(&self, topics: Topics) -> u64 {
        topics.iter().map(|topic| self.0[topic as usize]).max().unwrap_or(0)
    }

    /// Records event `seq` as the last one of `topic`.
    pub const fn note(&mut self, topic: Topic, seq: u64) {
        self.0[topic as usize] = seq;
    }
}

/// A position in the event log, `<epoch>.<seq>`: the client has all events up to and including `seq`.
///
/// ```
/// use petstream::wire::event::{Cursor, InvalidCursor};
///
/// let cursor: Cursor = "k3f9a2.42".parse()?;
/// assert_eq!((cursor.epoch.as_str(), cursor.seq), ("k3f9a2", 42));
/// assert_eq!(cursor.to_string(), "k3f9a2.42");
/// assert!("k3f9a2.+42".parse::<Cursor>().is_err());
/// # Ok::<(), InvalidCursor>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The log's epoch. A new database gets a new one, and so does a restored one.
    pub epoch: Epoch,
    /// The event's sequence number; 0 is before the first event.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.seq)
    }
}

/// The text is no cursor, or no epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Strict, since a parsed cursor is written into `id:` lines: an epoch, one dot, decimal digits of a `u64`.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (epoch, seq) = text.split_once('.').ok_or(InvalidCursor)?;
        let digits = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq = if digits { seq.parse().map_err(|_| InvalidCursor)? } else { return Err(InvalidCursor) };
        Ok(Self { epoch: Epoch::from_str(epoch)?, seq })
    }
}

/// The name of an event log: 1 to 16 lower-case ASCII letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(String);

impl Epoch {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Epoch {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let fits = (1..=16).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(InvalidCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_parsed_strictly() {
        let cursor: Cursor = "k3f9a2.42".parse().unwrap();
        assert_eq!((cursor.epoch.as_str(), cursor.seq, cursor.to_string().as_str()), ("k3f9a2", 42, "k3f9a2.42"));
        for text in ["", ".", "a.", ".1", "a.-1", "a.+1", "A.1", "a.1.2", "a b.1", "a.99999999999999999999", "a\n.1"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text:?}");
        }
    }

    #[test]
    fn the_last_event_of_a_set_is_the_latest_of_its_topics() {
        let lasts = LastSeqs([4, 9, 0, 2]);
        assert_eq!(lasts.of(Topics::ALL), 9);
        assert_eq!(lasts.of([Topic::Pets, Topic::Notifications].into_iter().collect()), 4);
        assert_eq!(lasts.of([Topic::Inventory].into_iter().collect()), 0);
    }

    #[test]
    fn names_round_trip_and_collide_with_no_reserved_ones() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
            assert!(!["error", "open", "message"].contains(&kind.name()));
        }
        for topic in Topic::ALL {
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
            assert_ne!(topic.name(), STATS_TOPIC);
        }
    }
}
