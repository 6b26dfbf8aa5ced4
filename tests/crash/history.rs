//! What somebody was told, step by step.

use petstream::wire::event::{EventKind, Topic, Topics};
use serde_json::Value;

use test_support::event_stream::{Message, seq};

/// An event as somebody told it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Its id on the wire.
    pub(crate) id: String,
    /// The number of the event before it, on the topics of the one who was told.
    pub(crate) prev: u64,
    /// Everything else.
    pub(crate) data: Value,
}

/// A resource: what it is, and its id.
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
    /// That of its first page.
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
    /// A stream has greeted, or a first page has come.
    Open {
        /// What it was asked to continue from.
        asked: Option<String>,
        resumed: bool,
        id: Option<String>,
        /// The last event there was; a page does not tell.
        head: Option<u64>,
    },
    /// An event, and the name that it was dispatched with.
    Event(Event, String),
    /// An id that belongs to no event.
    Moved(String),
    Reset {
        id: String,
        data: Value,
    },
    /// The present state was read.
    Read(Vec<List>),
    /// The stream ended, though the subscriber would have stayed.
    Cut,
    /// The subscriber went away.
    Left,
}

/// A subscriber's life.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) name: &'static str,
    pub(crate) topics: Topics,
    /// Whether events were to have their names.
    pub(crate) named: bool,
    pub(crate) steps: Vec<Step>,
}

impl History {
    pub(crate) fn count(&self, of: impl Fn(&Step) -> bool) -> usize {
        self.steps.iter().filter(|step| of(step)).count()
    }
}

impl Step {
    /// What a message of a stream is, which was asked to continue from `asked`; none: a sign of life.
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

    /// The cursor that it leaves its subscriber with.
    pub(crate) fn cursor(&self) -> Option<&str> {
        match self {
            Self::Open { id, .. } => id.as_deref(),
            Self::Event(event, _) => Some(&event.id),
            Self::Moved(id) | Self::Reset { id, .. } => Some(id),
            // The oldest: what came after it will be told once more, and known.
            Self::Read(lists) => lists.iter().map(|list| list.cursor.as_str()).min_by_key(|cursor| seq(cursor)),
            Self::Cut | Self::Left => None,
        }
    }
}
