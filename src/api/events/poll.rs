//! Events as a page of JSON, for clients that poll: at once (`wait=0`), or as soon as there are any (long polling).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::BytesMut;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio::time::{Instant, timeout_at};

use super::control_frames;
use super::service::Settings;
use crate::events::{EventHub, Reset, Since, SubscribeError, SubscriptionEvent};
use crate::time::jitter;
use crate::wire::event::{Cursor, Topics};

/// Bytes after which a page is full.
const MAX_BYTES: usize = 1 << 20;

/// A page being filled.
struct Page {
    topics: Topics,
    limit: usize,
    count: usize,
    events: BytesMut,
    cursor: Cursor,
    reset: Option<Reset>,
}

/// At most `limit` events of `topics` for the key of this id; waits for the first of them for at most `wait`.
pub(super) async fn page(
    hub: &EventHub,
    settings: &Settings,
    key: &Arc<str>,
    topics: Topics,
    since: Since,
    wait: Duration,
    limit: usize,
) -> Result<Response, SubscribeError> {
    let mut deadline = Instant::now() + wait;
    // A client that polls after a change of its own must find it.
    hub.refresh().await?;
    let (start, subscription) = hub.subscribe(key, topics, since).await?;
    let mut page = Page { topics, limit, count: 0, events: BytesMut::new(), cursor: start.from, reset: start.reset };
    let mut subscription = pin!(subscription);
    while !page.is_full() {
        if let Some(news) = subscription.ready(page.remaining()).await? {
            page.take(news, subscription.cursor());
        } else if page.count > 0 {
            break;
        } else {
            let news = timeout_at(deadline, subscription.next(page.remaining()));
            match settings.abort.token().run_until_cancelled(news).await {
                // Clients poll again at once, so the polls end at random moments.
                Some(Ok(Ok(SubscriptionEvent::Closing))) => {
                    deadline = deadline.min(Instant::now() + jitter(settings.shutdown_window));
                }
                Some(Ok(news)) => page.take(news?, subscription.cursor()),
                // The wait is over, or the shutdown can wait no longer.
                Some(Err(_)) | None => break,
            }
        }
    }
    if page.reset.is_none() && !page.is_full() {
        // Events of other topics that were skipped need not be skipped again.
        page.cursor = subscription.cursor();
    }
    Ok(page.respond(settings))
}

impl Page {
    fn is_full(&self) -> bool {
        self.count >= self.limit || self.events.len() >= MAX_BYTES || self.reset.is_some()
    }

    fn remaining(&self) -> usize {
        self.limit - self.count
    }

    fn take(&mut self, news: SubscriptionEvent, cursor: Cursor) {
        match news {
            SubscriptionEvent::Events(events) => {
                for event in &events {
                    if self.count > 0 {
                        self.events.extend_from_slice(b",");
                    }
                    event.push_json(&mut self.events, self.topics);
                    self.count += 1;
                }
                self.cursor = cursor;
            }
            SubscriptionEvent::Reset(reset) if self.count == 0 => {
                self.cursor = reset.cursor.clone();
                self.reset = Some(reset);
            }
            // The page ends before the reset, and the next page begins with it.
            SubscriptionEvent::Reset(_) => self.limit = self.count,
            // Only streams have these.
            SubscriptionEvent::Ephemeral(_) | SubscriptionEvent::Closing => {}
        }
    }

    fn respond(self, settings: &Settings) -> Response {
        let reset = self.reset.map(|reset| control_frames::reset_json(&reset, self.topics, &settings.public_path));
        let cursor = self.cursor.to_string();
        let mut body = BytesMut::with_capacity(self.events.len() + 256);
        body.extend_from_slice(b"{\"events\":[");
        body.extend_from_slice(&self.events);
        let reset = reset.as_deref().unwrap_or("null");
        body.extend_from_slice(format!("],\"cursor\":\"{cursor}\",\"reset\":{reset}}}").as_bytes());
        let mut response = Response::new(Body::from(body.freeze()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(cursor) = HeaderValue::try_from(cursor) {
            headers.insert("petstream-cursor", cursor);
        }
        response
    }
}
