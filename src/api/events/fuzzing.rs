//! Parsing of requests for events, for `fuzz/`.

use http::{HeaderMap, HeaderValue};

use super::query::EventsQuery;
use crate::events::Since;

/// Where a stream or page with this query string and this `Last-Event-ID` begins; none if the request is refused.
#[must_use]
pub fn since(query: &str, last_event_id: Option<HeaderValue>) -> Option<Since> {
    let headers: HeaderMap =
        last_event_id.into_iter().map(|id| (http::HeaderName::from_static("last-event-id"), id)).collect();
    EventsQuery::parse(None, query, &headers).ok().map(|query| query.since)
}
