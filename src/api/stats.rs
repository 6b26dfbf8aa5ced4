//! Statistics of the running server: `GET /api/stats`, and the topic `stats` of event streams. They are those of one
//! replica, which they name; `GET /api/stats?replicas=all` adds the last sample of each.
//!
//! The former has the samples of the last five minutes, the latter sends each new one: a client that subscribes first
//! and then reads misses none. A sample is taken once a second; it is encoded only while there are subscribers, once
//! for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use url::form_urlencoded;

use crate::events::EventHub;
use crate::limiter::Limit;
use crate::shared::{ReplicaId, ReplicaSample, Replicas};
use crate::telemetry::configuration::{Configuration, ConfigurationStatus};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Source;
use crate::telemetry::samples::{Sample, Samples};
use crate::upstream::{CurrentRoutes, TargetState, TargetStatus};
use crate::usage::{UsageRecord, UsageRecorder};
use crate::wire::event::STATS_TOPIC;
use crate::wire::event_frame::EphemeralFrame;

/// Time between two samples.
const SECOND: Duration = Duration::from_secs(1);

/// The statistics; cheap to clone.
#[derive(Clone)]
pub struct Stats {
    started: Timestamp,
    samples: Samples,
    sources: Arc<Sources>,
}

/// The sources of the statistics.
pub struct Sources {
    /// Counts of requests, and of refusals by limits.
    pub metrics: Metrics,
    /// The state of the upstreams.
    pub routes: CurrentRoutes,
    /// Whether the configuration could be read again.
    pub configuration: ConfigurationStatus,
    /// The completions that ended last.
    pub usage_recorder: UsageRecorder,
    /// Sends samples to subscribers.
    pub hub: EventHub,
    /// The name of this replica.
    pub replica: ReplicaId,
    /// What is shared with other replicas; none: there are no others.
    pub shared: Option<Shared>,
}

/// The samples of all replicas.
pub struct Shared {
    /// The other replicas, and this one.
    pub replicas: Replicas,
    /// Receives the sample of this replica, every second.
    pub publish: watch::Sender<String>,
}

/// The body of `GET /api/stats`.
#[derive(Serialize)]
struct StatsBody<'a> {
    time: String,
    started: String,
    version: &'static str,
    samples: Vec<Sample>,
    /// The last sample of each replica, if it was requested; null while Redis can't be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<ReplicaList>,
    #[serde(flatten)]
    current: Current<'a>,
}

/// The last sample of each replica; none: Redis can't be reached.
type ReplicaList = Option<Vec<Map<String, Value>>>;

/// What a replica writes of itself for the others, which add its name.
#[derive(Serialize)]
struct Activity<'a> {
    started: String,
    version: &'static str,
    subscribers: usize,
    sample: Option<&'a Sample>,
}

/// The data of the event that is sent every second.
#[derive(Serialize)]
struct StatsEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sample: &'a Sample,
    #[serde(flatten)]
    current: Current<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Current<'a> {
    /// The name of this replica.
    replica: &'a str,
    /// How many there are.
    live_replicas: u32,
    upstreams: Vec<Upstream>,
    limits: Vec<Refusals>,
    /// The newest first.
    recent: Vec<Recent<'a>>,
    subscribers: usize,
    configuration: ConfigurationState,
}

/// The configuration, and the errors that were found when it was read last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigurationState {
    loaded_at: String,
    error_count: usize,
    /// At most 20.
    errors: Vec<String>,
    needs_restart: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Upstream {
    model: String,
    target: String,
    state: &'static str,
    out_until: Option<String>,
    in_flight: u32,
    failures_in_a_row: u32,
    idle_connections: usize,
}

/// How often a limit has refused a request, since the start.
#[derive(Serialize)]
struct Refusals {
    limit: &'static str,
    whose: &'static str,
    refused: u64,
}

/// A completion that has ended, without its content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recent<'a> {
    id: Option<&'a str>,
    at: String,
    key: &'a str,
    operation: &'static str,
    model: &'a str,
    target: Option<&'a str>,
    streamed: bool,
    status: u16,
    terminal: &'static str,
    reason: Option<&'a str>,
    prompt_tokens: u64,
    completion_tokens: u64,
    source: Option<&'static str>,
    first_token_ms: Option<f64>,
    duration_ms: f64,
    attempts: u32,
}

pub(super) async fn stats(State(stats): State<Stats>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let has_all = form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "replicas" && value == "all");
    let replicas = if has_all { Some(stats.replicas().await) } else { None };
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, stats.whole(Timestamp::now(), replicas)).into_response()
}

impl Stats {
    /// Statistics since now.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let samples = Samples::new(sources.metrics.clone());
        Self { started: Timestamp::now(), samples, sources: Arc::new(sources) }
    }

    /// Takes a sample every second and sends it to subscribers, for as long as the future is polled.
    pub async fn run(self) {
        let mut seconds = interval_at(Instant::now() + SECOND, SECOND);
        // Two samples at once would make one of them empty.
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = 0;
        loop {
            seconds.tick().await;
            let now = Timestamp::now();
            let sample = self.samples.take(now);
            if let Some(shared) = &self.sources.shared {
                shared.publish.send_replace(json(&self.activity(Some(&sample))));
            }
            let (entries, count) = self.sources.usage_recorder.recent(seen);
            seen = count;
            if self.sources.hub.has_ephemeral_subscribers() {
                let event =
                    StatsEvent { kind: STATS_TOPIC, sample: &sample, current: self.sources.current(now, &entries) };
                self.sources.hub.send_ephemeral(EphemeralFrame::new(STATS_TOPIC, &json(&event)));
            }
        }
    }

    /// The last sample of each replica; none: Redis can't be reached.
    async fn replicas(&self) -> ReplicaList {
        let Some(shared) = &self.sources.shared else {
            let activity = json(&self.activity(self.samples.all().last()));
            return Some(
                read(&ReplicaSample { replica: self.sources.replica.clone(), text: activity }).into_iter().collect(),
            );
        };
        let samples = shared.replicas.samples().await.ok()?;
        Some(samples.iter().filter_map(read).collect())
    }

    fn activity<'a>(&self, sample: Option<&'a Sample>) -> Activity<'a> {
        let (started, subscribers) = (written(self.started), self.sources.hub.subscribers());
        Activity { started, version: env!("CARGO_PKG_VERSION"), subscribers, sample }
    }

    fn whole(&self, now: Timestamp, replicas: Option<ReplicaList>) -> String {
        let (entries, _) = self.sources.usage_recorder.recent(0);
        json(&StatsBody {
            time: written(now),
            started: written(self.started),
            version: env!("CARGO_PKG_VERSION"),
            samples: self.samples.all(),
            replicas,
            current: self.sources.current(now, &entries),
        })
    }
}

impl Sources {
    fn current<'a>(&'a self, now: Timestamp, entries: &'a [Arc<UsageRecord>]) -> Current<'a> {
        let instant = Instant::now();
        let upstreams = self.routes.get().status(instant).into_iter().map(|status| Upstream::of(status, now, instant));
        let limits = self.metrics.refusals().into_iter().map(|(label, whose, refused)| {
            let limit = Limit::ALL.into_iter().find(|limit| limit.label() == label).map_or(label, Limit::name);
            Refusals { limit, whose, refused }
        });
        Current {
            replica: self.replica.as_str(),
            live_replicas: self.shared.as_ref().map_or(1, |shared| shared.replicas.live()),
            upstreams: upstreams.collect(),
            limits: limits.collect(),
            recent: entries.iter().map(|entry| Recent::of(entry)).collect(),
            subscribers: self.hub.subscribers(),
            configuration: ConfigurationState::of(self.configuration.get()),
        }
    }
}

impl ConfigurationState {
    fn of(configuration: Configuration) -> Self {
        let Configuration { loaded_at, error_count, errors, needs_restart } = configuration;
        Self { loaded_at: written(loaded_at), error_count, errors, needs_restart }
    }
}

impl Upstream {
    /// `now` and `instant` are the same moment.
    fn of(status: TargetStatus, now: Timestamp, instant: Instant) -> Self {
        let until = |until: Instant| {
            let left = SignedDuration::try_from(until.saturating_duration_since(instant)).ok()?;
            now.checked_add(left).ok().map(written)
        };
        let out_until = if let TargetState::Ejected { until: at } = status.state { until(at) } else { None };
        Self {
            model: status.model,
            target: status.target,
            state: status.state.name(),
            out_until,
            in_flight: status.in_flight,
            failures_in_a_row: status.failures,
            idle_connections: status.idle_connections,
        }
    }
}

impl<'a> Recent<'a> {
    fn of(entry: &'a UsageRecord) -> Self {
        Self {
            id: entry.request_id.as_deref(),
            at: written(entry.at),
            key: &entry.key,
            operation: entry.operation.name(),
            model: &entry.model,
            target: entry.target.as_deref(),
            streamed: entry.streamed,
            status: entry.status,
            terminal: entry.terminal.name(),
            reason: entry.reason.as_deref(),
            prompt_tokens: entry.prompt_tokens,
            completion_tokens: entry.completion_tokens,
            source: entry.source.map(Source::name),
            first_token_ms: entry.first_token.map(milliseconds),
            duration_ms: milliseconds(entry.duration),
            attempts: entry.attempts,
        }
    }
}

/// What a replica has written, with its name; none: it is no object.
fn read(sample: &ReplicaSample) -> Option<Map<String, Value>> {
    let mut activity: Map<String, Value> = serde_json::from_str(&sample.text).ok()?;
    activity.insert("replica".to_owned(), sample.replica.as_str().into());
    Some(activity)
}

fn written(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Plain structures, whose serialization does not fail.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
