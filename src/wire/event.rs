//! Live events as data: topics, names, cursors, and the JSON of one event.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a stream can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Pets that came, changed, went.
    Pets,
    /// Orders.
    Orders,
    /// Counts of the inventory.
    Inventory,
    /// News for people: a species running low.
    Notifications,
}

impl Topic {
    /// Every topic, in the order in which they are stored.
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

/// The name of one more topic, which is told to those who listen and logged for nobody: it has no numbers, no ids, and
/// no place in a set of [`Topics`].
pub const STATS_TOPIC: &str = "stats";

/// A set of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topics(u8);

impl Topics {
    /// All topics.
    pub const ALL: Self = Self(0b1111);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether `topic` is in the set.
    #[must_use]
    pub const fn contains(self, topic: Topic) -> bool {
        self.0 & (1 << topic as u8) != 0
    }

    /// Whether there is no topic in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of [`Topic::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Topic> {
        Topic::ALL.into_iter().filter(move |topic| self.contains(*topic))
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        Self(topics.into_iter().fold(0, |set, topic| set | 1 << topic as u8))
    }
}

/// What happened. Adding one makes the compiler list every place that must know.
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
    /// Something that a person would want to know.
    Notification,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::PetUpdate,
        Self::PetStatusChanged,
        Self::OrderCreated,
        Self::OrderStatusChanged,
        Self::InventoryChanged,
        Self::Notification,
    ];

    /// The `event:` name. Never `error` or `open`, which collide with `EventSource`'s own.
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

    /// The topic that it belongs to.
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

/// The last event of each topic, by its number; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSeqs(pub [u64; 4]);

impl LastSeqs {
    /// The last event on a stream of these topics.
    #[must_use]
    pub fn of(&self, topics: Topics) -> u64 {
        topics.iter().map(|topic| self.0[topic as usize]).max().unwrap_or(0)
    }

    /// Notes that event `seq` is the last one of `topic` now.
    pub const fn note(&mut self, topic: Topic, seq: u64) {
        self.0[topic as usize] = seq;
    }
}

/// A position in the log, `<epoch>.<seq>`: everything up to and including event `seq` has been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which log: new for every new database, and after a restore.
    pub epoch: Epoch,
    /// The number of the event; 0 is before the first.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.seq)
    }
}

/// Not a cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Strict, since what is parsed is printed again into `id:` lines: letters and digits, one dot, digits.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (epoch, seq) = text.split_once('.').ok_or(InvalidCursor)?;
        let digits = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq = if digits { seq.parse().map_err(|_| InvalidCursor)? } else { return Err(InvalidCursor) };
        Ok(Self { epoch: Epoch::from_str(epoch)?, seq })
    }
}

/// The name of a log: 1 to 16 lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(String);

impl Epoch {
    /// The name itself.
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
    fn cursors_are_read_strictly() {
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
    fn names_are_their_own_and_collide_with_nothing() {
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
