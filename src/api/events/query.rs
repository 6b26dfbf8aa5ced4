//! What a request asks for.

use std::time::Duration;

use http::HeaderMap;

use crate::api::parameters::Parameters;
use crate::error::problem::FieldError;
use crate::events::Since;
use crate::wire::event::{STATS_TOPIC, Topic, Topics};

/// Longest long poll, seconds.
const MAX_WAIT: u64 = 60;
/// How long a poll waits unless it says so, seconds.
const WAIT: u64 = 25;
/// Most events of a page.
const MAX_EVENTS: usize = 1_000;
/// Events of a page unless it says so.
const EVENTS: usize = 100;
/// All that is kept.
const EARLIEST: &str = "earliest";

/// A request for events.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventsQuery {
    pub(super) topics: Topics,
    /// Whether it is also about what the server does.
    pub(super) stats: bool,
    pub(super) since: Since,
    pub(super) format: Format,
}

/// In which form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    Stream {
        /// Whether events have their names.
        named: bool,
    },
    Page {
        wait: Duration,
        limit: usize,
    },
}

impl EventsQuery {
    /// Reads a request; `named` is what its path names.
    pub(super) fn parse(named: Option<TopicName>, query: &str, headers: &HeaderMap) -> Result<Self, Vec<FieldError>> {
        let mut given = Parameters::read(query);
        let named = match named {
            Some(named) => vec![named],
            None => {
                let names = Topic::ALL.map(Topic::name).join(", ");
                given.list("topics", &format!("among {names}, {STATS_TOPIC}"), TopicName::from_name)
            }
        };
        let stats = named.contains(&TopicName::Stats);
        let topics =
            if named.is_empty() { Topics::ALL } else { named.into_iter().filter_map(TopicName::topic).collect() };
        // The gate has read it.
        given.one("ticket", "a text", |_| Some(()));
        let last = given.one("last_event_id", "an event's id", |text| Some(text.to_owned()));
        let after = given.one("after", "an event's id", |text| Some(text.to_owned()));
        let wait = given.one("wait", "0 to 60 seconds", |text| number(text).filter(|wait| *wait <= MAX_WAIT));
        let page = after.is_some() || wait.is_some();
        if page && stats {
            given.refuse("topics", format!("can't have {STATS_TOPIC} in a page: GET /api/stats has it"));
        }
        let format = if page {
            let within = |text: &str| number(text).map(|n| n as usize).filter(|n| (1..=MAX_EVENTS).contains(n));
            let limit = given.one("limit", "1 to 1000", within).unwrap_or(EVENTS);
            Format::Page { wait: Duration::from_secs(wait.unwrap_or(WAIT)), limit }
        } else {
            let named = given.one("named", "true or false", |text| text.parse().ok()).unwrap_or(true);
            Format::Stream { named }
        };
        given.finish()?;
        // A header that is no text is no cursor of ours either.
        let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
        let cursor = [after.as_deref(), header, last.as_deref()].into_iter().flatten().find(|text| !text.is_empty());
        Ok(Self { topics, stats, since: cursor.map_or(Since::Now, since), format })
    }
}

/// A topic as requests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicName {
    Logged(Topic),
    Stats,
}

impl TopicName {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        if name == STATS_TOPIC { Some(Self::Stats) } else { Topic::from_name(name).map(Self::Logged) }
    }

    const fn topic(self) -> Option<Topic> {
        match self {
            Self::Logged(topic) => Some(topic),
            Self::Stats => None,
        }
    }
}

fn since(text: &str) -> Since {
    match text {
        EARLIEST => Since::Earliest,
        other => other.parse().map_or(Since::Unreadable, Since::After),
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, header: Option<&str>) -> Result<EventsQuery, Vec<FieldError>> {
        let mut headers = HeaderMap::new();
        if let Some(id) = header {
            headers.insert("last-event-id", id.parse().unwrap());
        }
        EventsQuery::parse(None, query, &headers)
    }

    fn after(cursor: &str) -> Since {
        Since::After(cursor.parse().unwrap())
    }

    #[test]
    fn a_stream_of_everything_from_now_on_is_the_default() {
        let format = Format::Stream { named: true };
        let expected = EventsQuery { topics: Topics::ALL, stats: false, since: Since::Now, format };
        assert_eq!(parse("", None), Ok(expected));
        let wanted = parse("topics=pets,orders&named=false&ticket=x", None).unwrap();
        assert_eq!(wanted.topics, [Topic::Orders, Topic::Pets].into_iter().collect());
        assert_eq!(wanted.format, Format::Stream { named: false });
    }

    #[test]
    fn stats_are_no_topic_of_the_log() {
        let wanted = |query| parse(query, None).map(|wanted| (wanted.topics, wanted.stats));
        assert_eq!(wanted("topics=stats"), Ok((Topics::NONE, true)));
        assert_eq!(wanted("topics=stats,pets"), Ok(([Topic::Pets].into_iter().collect(), true)));
        let by_path = EventsQuery::parse(Some(TopicName::Stats), "", &HeaderMap::new()).unwrap();
        assert_eq!((by_path.topics, by_path.stats), (Topics::NONE, true));
        assert!(EventsQuery::parse(Some(TopicName::Stats), "wait=0", &HeaderMap::new()).is_err());
    }

    #[test]
    fn the_header_wins_over_the_parameter_and_what_is_empty_is_not_there() {
        for (query, header, since) in [
            ("last_event_id=e.1", None, after("e.1")),
            ("last_event_id=e.1", Some("e.2"), after("e.2")),
            ("last_event_id=e.1", Some(""), after("e.1")),
            ("last_event_id=", Some(""), Since::Now),
            ("last_event_id=earliest", None, Since::Earliest),
            ("last_event_id=e", None, Since::Unreadable),
            ("after=e.3", Some("e.2"), after("e.3")),
            ("after=", None, Since::Now),
        ] {
            assert_eq!(parse(query, header).unwrap().since, since, "{query} {header:?}");
        }
    }

    #[test]
    fn after_or_wait_asks_for_a_page() {
        for (query, seconds, limit) in
            [("after=e.1", 25, 100), ("wait=0", 0, 100), ("after=earliest&wait=60&limit=1000", 60, 1_000)]
        {
            let format = Format::Page { wait: Duration::from_secs(seconds), limit };
            assert_eq!(parse(query, None).unwrap().format, format, "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, field) in [
            ("topics=pets,cats", "topics"),
            ("topics=", "topics"),
            ("topics=pets,stats&wait=0", "topics"),
            ("topics=stats&after=e.1", "topics"),
            ("wait=61", "wait"),
            ("wait=-1", "wait"),
            ("wait=", "wait"),
            ("wait=1&limit=0", "limit"),
            ("wait=1&limit=1001", "limit"),
            ("limit=5", "limit"),
            ("named=maybe", "named"),
            ("wait=1&named=false", "named"),
            ("last_event_id=e.1&last_event_id=e.2", "last_event_id"),
            ("topic=pets", "topic"),
        ] {
            assert_eq!(parse(query, None).unwrap_err()[0].field, field, "{query}");
        }
        let pets = TopicName::Logged(Topic::Pets);
        assert_eq!(EventsQuery::parse(Some(pets), "topics=pets", &HeaderMap::new()).unwrap_err()[0].field, "topics");
    }
}
