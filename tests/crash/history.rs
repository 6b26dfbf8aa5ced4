//! The history of a subscriber, step by step.

use petstream::wire::event::{EventKind, Topic, Topics};
use serde_json::Value;

use test_support::event_stream::{Message, seq};

/// An event that a subscriber received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Its id on the wire.
    pub(crate) id: String,
    /// The number of the previous event on the topics of the subscriber.
    pub(crate) prev: u64,
    /// All other members.
    pub(crate) data: Value,
}

/// A resource: kind and id.
pub(crate) type Key = (Topic, String);

impl Event {
    pub(crate) fn new(id: &str, mut data: Value) -> Self {
        let prev = data.as_object_mut().and_then(|data| data.shift_remove("prev"));
        let prev = prev.and_then(|prev| prev.as_u64()).unwrap_or_else(|| panic!("no prev: {id} {data}"));
        Self { id: id.to_owned(), prev, data }
    }

    pub(crate) fn seq(&self) -> u64 {
        seq(&self.id)
    }

    pub(crate) fn kind(&self) -> EventKind {
        let name = self.data["type"].as_str().unwrap_or_default();
        EventKind::from_name(name).unwrap_or_else(|| panic!("not a kind of event: {self:?}"))
    }

    pub(crate) fn key(&self) -> Key {
        (self.kind().topic(), self.data["id"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn version(&self) -> u64 {
        self.data["version"].as_u64().unwrap_or_default()
    }

    /// None when it was deleted.
    pub(crate) fn resource(&self) -> Option<&Value> {
        Some(&self.data["resource"]).filter(|resource| !resource.is_null())
    }
}

/// A list that was read from its first page to its last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List {
    pub(crate) topic: Topic,
    /// The cursor of its first page.
    pub(crate) cursor: String,
    pub(crate) pages: usize,
    pub(crate) resources: Vec<Value>,
}

impl List {
    /// The id of one of its resources.
    pub(crate) fn key(&self, resource: &Value) -> Key {
        let id = if self.topic == Topic::Inventory { "inventory" } else { resource["id"].as_str().unwrap_or_default() };
        (self.topic, id.to_owned())
    }
}

/// One step of a subscriber.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A stream sent its greeting, or a first page arrived.
    Open {
        /// The cursor that was sent.
        asked: Option<String>,
        resumed: bool,
        id: Option<String>,
        /// The head of the log; a page does not have it.
        head: Option<u64>,
    },
    /// An event, with the name of its block.
    Event(Event, String),
    /// An id without an event.
    Moved(String),
    Reset {
        id: String,
        data: Value,
    },
    /// The current state was read.
    Read(Vec<List>),
    /// The stream ended without a cause in the subscriber.
    Cut,
    /// The subscriber disconnected.
    Left,
}

/// The history of one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) name: &'static str,
    pub(crate) topics: Topics,
    /// Whether it requested named events.
    pub(crate) named: bool,
    pub(crate) steps: Vec<Step>,
}

impl History {
    pub(crate) fn count(&self, of: impl Fn(&Step) -> bool) -> usize {
        self.steps.iter().filter(|step| of(step)).count()
    }
}

impl Step {
    /// The step for a message of a stream that was requested from `asked`; none for a heartbeat.
    pub(crate) fn of(message: Message, asked: Option<&str>) -> Option<Self> {
        let Message { event, data, last_id, has_id } = message;
        Some(match event.as_str() {
            "heartbeat" => return None,
            "connected" => Self::Open {
                asked: asked.map(str::to_owned),
                resumed: data["resumed"] == true,
                id: has_id.then_some(last_id),
                head: data["head"].as_u64(),
            },
            "stream-reset" => Self::Reset { id: last_id, data },
            _ => Self::Event(Event::new(&last_id, data), event),
        })
    }

    /// The cursor of the subscriber after this step.
    pub(crate) fn cursor(&self) -> Option<&str> {
        match self {
            Self::Open { id, .. } => id.as_deref(),
            Self::Event(event, _) => Some(&event.id),
            Self::Moved(id) | Self::Reset { id, .. } => Some(id),
            // The oldest cursor: later events arrive again, and are recognised by version.
            Self::Read(lists) => lists.iter().map(|list| list.cursor.as_str()).min_by_key(|cursor| seq(cursor)),
            Self::Cut | Self::Left => None,
        }
    }
}
