//! The query of a request for events.

use std::time::Duration;

use http::HeaderMap;

use crate::api::parameters::Parameters;
use crate::error::problem::FieldError;
use crate::events::Since;
use crate::wire::event::{STATS_TOPIC, Topic, Topics};

/// Longest long poll, seconds.
const MAX_WAIT: u64 = 60;
/// Default of `wait`: how long a poll waits, seconds.
const DEFAULT_WAIT: u64 = 25;
/// Highest `limit`: events of a page.
const MAX_LIMIT: usize = 1_000;
/// Default of `limit`.
const DEFAULT_LIMIT: usize = 100;
/// The cursor of the oldest event that is kept.
const EARLIEST: &str = "earliest";

/// The parsed query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventsQuery {
    pub(super) topics: Topics,
    /// Whether the ephemeral topic `stats` is requested.
    pub(super) stats: bool,
    pub(super) since: Since,
    pub(super) format: Format,
}

/// The format of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    Stream {
        /// Whether events have names of their own, or all the default one.
        named: bool,
    },
    Page {
        wait: Duration,
        limit: usize,
    },
}

impl EventsQuery {
    /// Parses a request; `named` is the topic of its path.
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
        // Used by the layer `authenticate`.
        given.one("ticket", "a text", |_| Some(()));
        let last = given.one("last_event_id", "an event's id", |text| Some(text.to_owned()));
        let after = given.one("after", "an event's id", |text| Some(text.to_owned()));
        let wait = given.one("wait", "0 to 60 seconds", |text| number(text).filter(|wait| *wait <= MAX_WAIT));
        let page = after.is_some() || wait.is_some();
        if page && stats {
            given.refuse("topics", format!("can't have {STATS_TOPIC} in a page: GET /api/stats has it"));
        }
        let format = if page {
            let within = |text: &str| number(text).map(|n| n as usize).filter(|n| (1..=MAX_LIMIT).contains(n));
            let limit = given.one("limit", "1 to 1000", within).unwrap_or(DEFAULT_LIMIT);
            Format::Page { wait: Duration::from_secs(wait.unwrap_or(DEFAULT_WAIT)), limit }
        } else {
            let named = given.one("named", "true or false", |text| text.parse().ok()).unwrap_or(true);
            Format::Stream { named }
        };
        given.finish()?;
        // A header that is not text is an unreadable cursor.
        let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
        let cursor = [after.as_deref(), header, last.as_deref()].into_iter().flatten().find(|text| !text.is_empty());
        Ok(Self { topics, stats, since: cursor.map_or(Since::Now, since), format })
    }
}

/// The topic of a path or parameter.
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
    fn stats_is_not_a_topic_of_the_log() {
        let wanted = |query| parse(query, None).map(|wanted| (wanted.topics, wanted.stats));
        assert_eq!(wanted("topics=stats"), Ok((Topics::NONE, true)));
        assert_eq!(wanted("topics=stats,pets"), Ok(([Topic::Pets].into_iter().collect(), true)));
        let by_path = EventsQuery::parse(Some(TopicName::Stats), "", &HeaderMap::new()).unwrap();
        assert_eq!((by_path.topics, by_path.stats), (Topics::NONE, true));
        assert!(EventsQuery::parse(Some(TopicName::Stats), "wait=0", &HeaderMap::new()).is_err());
    }

    #[test]
    fn the_header_takes_precedence_and_empty_values_are_ignored() {
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
    fn after_or_wait_requests_a_page() {
        for (query, seconds, limit) in
            [("after=e.1", 25, 100), ("wait=0", 0, 100), ("after=earliest&wait=60&limit=1000", 60, 1_000)]
        {
            let format = Format::Page { wait: Duration::from_secs(seconds), limit };
            assert_eq!(parse(query, None).unwrap().format, format, "{query}");
        }
    }

    #[test]
    fn errors_name_the_parameter() {
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
