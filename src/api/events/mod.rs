//! Live events: `GET /api/events`, as a stream or as pages of JSON.
//!
//! `/api/events/{topic}` carries one topic; `/api/events` those of `topics`, all of them unless given, and
//! `/api/events/data` is another name for it. With `after` or `wait` the answer is a page of JSON (`poll`), otherwise
//! a stream of Server-Sent Events (`stream`). All speak of the same cursors. Streams may also carry `stats`, which is
//! told in passing, to keys with that scope. A browser gets in through `doors`, and is
//! never sent away with a status that it would take for the end (`patience`).

mod browser_auth;
mod control_frames;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod jitter;
mod poll;
mod query;
mod retryable_errors;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, Path, RawQuery, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use http::{HeaderMap, Method};

use self::query::{Answer, Named, Wanted};
use super::public_path::PublicPath;
use crate::auth::browser_credential::Browsers;
use crate::config::EventsConfig;
use crate::error::problem::Problem;
use crate::error::{Denied, Surface};
use crate::events::EventHub;
use crate::middleware::authenticate::{AuthContext, Peer};
use crate::time::ShutdownSignal;
use crate::wire::api_key::Scope;

pub use jitter::jitter;

/// Where browsers' cookies are good: the streams, and nothing else.
pub const PATH: &str = "/api/events";

/// What these handlers use; cheap to clone.
#[derive(Clone)]
pub struct Events {
    hub: EventHub,
    browsers: Browsers,
    settings: Arc<Settings>,
}

/// How streams behave.
struct Settings {
    heartbeat: Duration,
    retry: Duration,
    shutdown_window: Duration,
    public_path: PublicPath,
    abort: ShutdownSignal,
}

impl Events {
    /// Event streams and polls from `hub`, which end at once when `abort` is raised. The connection must poll them then.
    #[must_use]
    pub fn new(
        hub: EventHub,
        browsers: Browsers,
        config: &EventsConfig,
        public_path: PublicPath,
        abort: ShutdownSignal,
    ) -> Self {
        let EventsConfig { heartbeat, retry, shutdown_window, .. } = *config;
        Self { hub, browsers, settings: Arc::new(Settings { heartbeat, retry, shutdown_window, public_path, abort }) }
    }

    /// Where the events come from.
    #[must_use]
    pub const fn hub(&self) -> &EventHub {
        &self.hub
    }

    /// Tickets, sessions and cookies.
    #[must_use]
    pub const fn browsers(&self) -> &Browsers {
        &self.browsers
    }
}

/// The routes that a browser can use without a key of its own. Who may use them is a layer's business.
pub fn streams<S>() -> Router<S>
where
    Events: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route(PATH, get(several))
        .route("/api/events/data", get(several))
        .route("/api/events/{topic}", get(one))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
}

/// The routes on which a key is exchanged for what a browser can show.
pub fn entrance<S>() -> Router<S>
where
    Events: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/api/events/tickets", post(browser_auth::ticket))
        .route("/api/events/sessions", post(browser_auth::sign_in))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
}

/// The route on which a session ends. The cookie is all that it asks for.
pub fn exit<S>() -> Router<S>
where
    Events: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new().route("/api/events/sessions", delete(browser_auth::sign_out))
}

/// The layer that stands before every other one in front of [`streams`].
pub fn patient<S: Clone + Send + Sync + 'static>(streams: Router<S>) -> Router<S> {
    streams.route_layer(from_fn(retryable_errors::patience))
}

async fn several(
    State(events): State<Events>,
    Extension(standing): Extension<AuthContext>,
    peer: Option<Extension<Peer>>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Wanted::parse(None, &query.unwrap_or_default(), &headers).map_err(Problem::invalid)?;
    if method == Method::HEAD {
        return events.head(wanted, standing).await;
    }
    events.answer(wanted, standing, peer).await
}

async fn one(
    State(events): State<Events>,
    Extension(standing): Extension<AuthContext>,
    peer: Option<Extension<Peer>>,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = Named::from_name(&topic).ok_or_else(|| Problem::not_found("There is no such topic."))?;
    let wanted = Wanted::parse(Some(topic), &query.unwrap_or_default(), &headers).map_err(Problem::invalid)?;
    if method == Method::HEAD {
        return events.head(wanted, standing).await;
    }
    events.answer(wanted, standing, peer).await
}

impl Events {
    /// The answer to HEAD: nothing is subscribed to, and nothing waited for.
    async fn head(self, wanted: Wanted, standing: AuthContext) -> Result<Response, Problem> {
        match wanted.answer {
            Answer::Stream { .. } if wanted.stats && !standing.principal().has(Scope::Stats) => {
                Ok(Denied::NoScope(Scope::Stats.name()).answer(Surface::Problem))
            }
            Answer::Stream { .. } => Ok(stream::head_only()),
            Answer::Page { limit, .. } => {
                let answer = Answer::Page { wait: Duration::ZERO, limit };
                self.answer(Wanted { answer, ..wanted }, standing, None).await
            }
        }
    }

    async fn answer(
        self,
        wanted: Wanted,
        standing: AuthContext,
        peer: Option<Extension<Peer>>,
    ) -> Result<Response, Problem> {
        let Wanted { topics, stats, since, answer } = wanted;
        if stats && !standing.principal().has(Scope::Stats) {
            return Ok(Denied::NoScope(Scope::Stats.name()).answer(Surface::Problem));
        }
        let key = Arc::clone(&standing.principal().id);
        // A page that is not waited for is as good as there.
        if let Some(Extension(peer)) = peer
            && !matches!(answer, Answer::Page { wait: Duration::ZERO, .. })
        {
            peer.ends_at.end_with_client();
        }
        match answer {
            Answer::Stream { named } => {
                let (start, mut subscription) = self.hub.subscribe(&key, topics, since).await?;
                let mut standing = standing.lasting();
                if stats {
                    (subscription, standing) = (subscription.with_ephemeral(), standing.and(Scope::Stats));
                }
                Ok(stream::respond(&start, subscription, self.settings, standing, named))
            }
            Answer::Page { wait, limit } => {
                Ok(poll::page(&self.hub, &self.settings, &key, topics, since, wait, limit).await?)
            }
        }
    }
}
