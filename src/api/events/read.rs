//! `GET /api/events` and `/api/events/{topic}`: a stream, or a page of JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, Method};

use super::query::{EventsQuery, Format, TopicName};
use super::service::Events;
use super::{poll, stream};
use crate::auth::context::AuthContext;
use crate::error::problem::Problem;
use crate::error::{Denied, Surface};
use crate::middleware::context::ConnectionContext;
use crate::time::ResponseDeadline;
use crate::wire::api_key::Scope;

/// The topics of the query.
pub(in crate::api) async fn several(
    State(events): State<Events>,
    State(auth): State<AuthContext>,
    State(connection): State<ConnectionContext>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = EventsQuery::parse(None, &query.unwrap_or_default(), &headers).map_err(Problem::invalid)?;
    events.read(&method, query, auth, &connection.deadline).await
}

/// The topic of the path.
pub(in crate::api) async fn one(
    State(events): State<Events>,
    State(auth): State<AuthContext>,
    State(connection): State<ConnectionContext>,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = TopicName::from_name(&topic).ok_or_else(|| Problem::not_found("There is no such topic."))?;
    let query = EventsQuery::parse(Some(topic), &query.unwrap_or_default(), &headers).map_err(Problem::invalid)?;
    events.read(&method, query, auth, &connection.deadline).await
}

impl Events {
    async fn read(
        self,
        method: &Method,
        query: EventsQuery,
        auth: AuthContext,
        deadline: &ResponseDeadline,
    ) -> Result<Response, Problem> {
        let EventsQuery { topics, stats, since, format } = query;
        if stats && !auth.principal().has(Scope::Stats) {
            return Ok(Denied::NoScope(Scope::Stats.name()).to_response(Surface::Problem));
        }
        // HEAD subscribes to nothing and does not wait.
        let format = match format {
            Format::Stream { .. } if method == Method::HEAD => return Ok(stream::head_only()),
            Format::Page { limit, .. } if method == Method::HEAD => Format::Page { wait: Duration::ZERO, limit },
            format => format,
        };
        // An answer that takes long ends when its client leaves; a page without a wait takes no time.
        if !matches!(format, Format::Page { wait: Duration::ZERO, .. }) {
            deadline.end_with_client();
        }
        let key = Arc::clone(&auth.principal().id);
        match format {
            Format::Stream { named } => {
                let (start, mut subscription) = self.hub.subscribe(&key, topics, since).await?;
                let mut auth = auth;
                if stats {
                    (subscription, auth) = (subscription.with_ephemeral(), auth.and(Scope::Stats));
                }
                Ok(stream::respond(&start, subscription, self.settings, auth, named))
            }
            Format::Page { wait, limit } => {
                Ok(poll::page(&self.hub, &self.settings, &key, topics, since, wait, limit).await?)
            }
        }
    }
}
