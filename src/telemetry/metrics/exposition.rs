//! Writes the metrics as OpenMetrics text: their names, types and labels.
//!
//! Metrics that OpenTelemetry's conventions for generative AI define have the names of these (`gen_ai_*`, with
//! underscores for dots and the unit at the end) and their labels; all others are `petstream_*`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::counters::OTHER;
use super::handle::{Metrics, State};
use super::histogram::{Histogram, HistogramSnapshot};
use super::leases::LeaseMetrics;
use super::model::{ModelMetrics, OperationMetrics, Tokens};
use super::redis::RedisMetrics;
use super::target::TargetMetrics;
use crate::config::LOCAL_MODEL;
use crate::telemetry::record::{Source, Terminal};
use crate::wire::operation::Operation;

/// Size of the text of a server with a few models, bytes.
const INITIAL_CAPACITY: usize = 16 << 10;
const MODEL: &str = "gen_ai_request_model";
const TOKEN_TYPE: &str = "gen_ai_token_type";

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Metrics {
    /// The media type of [`Metrics::encode`].
    pub const MEDIA_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All metrics as OpenMetrics text, of type [`Metrics::MEDIA_TYPE`], which Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut registry = Registry::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("petstream_build", "The program that is running", Info::new(version.to_vec()));
        registry.register_collector(Box::new(Arc::clone(&self.0)));
        let mut text = String::with_capacity(INITIAL_CAPACITY);
        if text::encode(&mut text, &registry).is_err() {
            // Unreachable: writing to a string can't fail.
            tracing::error!("the metrics can't be written");
        }
        text
    }
}

/// Writes metrics with all their series; a metric without series is left out.
struct Exposition<'a>(DescriptorEncoder<'a>);

impl Exposition<'_> {
    fn counter<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        series.try_for_each(|(labels, value)| {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn gauge<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, i64)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        series.try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
    }

    fn histogram<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = (L, HistogramSnapshot)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        series.try_for_each(|(labels, snapshot)| {
            let mut encoder = metric.encode_family(&labels)?;
            encoder.encode_histogram::<NoLabelSet>(snapshot.sum, snapshot.count(), &snapshot.buckets, None)
        })
    }

    /// A gauge without labels.
    fn plain_gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A counter without labels.
    fn plain_counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A histogram in seconds without labels.
    fn plain_histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let snapshot = histogram.snapshot();
        metric.encode_histogram::<NoLabelSet>(snapshot.sum, snapshot.count(), &snapshot.buckets, None)
    }

    /// A histogram in seconds with a series for each operation of a model.
    fn model_histogram(
        &mut self,
        name: &str,
        help: &str,
        models: &Models,
        of: fn(&OperationMetrics) -> &Histogram,
    ) -> fmt::Result {
        let series = operations(models)
            .map(|(model, operation, metrics)| (gen_ai_labels(model, operation), of(metrics).snapshot()));
        self.histogram(name, help, Some(&Unit::Seconds), series)
    }
}

type Models = [(Arc<str>, Arc<ModelMetrics>)];

/// The operations of all models, each with the name of its model.
fn operations(models: &Models) -> impl Iterator<Item = (&Arc<str>, Operation, &Arc<OperationMetrics>)> {
    models.iter().flat_map(|(model, metrics)| metrics.operations().map(move |(name, metrics)| (model, name, metrics)))
}

/// The labels that the conventions require for every `gen_ai_*` metric.
fn gen_ai_labels(model: &str, operation: Operation) -> Labels<'_, 3> {
    // The provider whose API is spoken; that of the model is not known.
    let provider = if model == LOCAL_MODEL { "petstream" } else { "openai" };
    [(MODEL, model), ("gen_ai_operation_name", operation.convention_name()), ("gen_ai_provider_name", provider)]
}

/// Adds a label.
fn with_label<'a, const N: usize>(
    labels: Labels<'a, N>,
    name: &'static str,
    value: &'a str,
) -> Vec<(&'static str, &'a str)> {
    labels.into_iter().chain([(name, value)]).collect()
}

/// The tokens of an operation, by the value of the label `gen_ai_token_type`.
fn token_types(metrics: &OperationMetrics) -> [(&'static str, &Tokens); 2] {
    [("input", &metrics.prompt), ("output", &metrics.completion)]
}

impl Collector for State {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Exposition(encoder);
        let models = self.models.all();
        requests(&mut out, self)?;
        times(&mut out, &models)?;
        tokens(&mut out, &models)?;
        upstreams(&mut out, &models)?;
        configuration(&mut out, self)?;
        if let Some(metrics) = self.redis.get() {
            redis(&mut out, metrics)?;
        }
        if let Some(leases) = self.leases.get() {
            shared_limits(&mut out, leases)?;
        }
        let help = "Whether the database can be read and written: 1, or 0";
        out.plain_gauge("petstream_database_up", help, self.database_up.get())?;
        let queue = self.usage_queue.get();
        out.plain_gauge("petstream_usage_queue_length", "Usage records that wait to be written", queue)?;
        let (name, help) = ("petstream_usage_records_dropped", "Usage records that found the queue full");
        out.plain_counter(name, help, self.usage_dropped.get())
    }
}

fn requests(out: &mut Exposition<'_>, state: &State) -> fmt::Result {
    let routes = state.routes.all();
    let counts = routes.iter().flat_map(|(route, metrics)| metrics.requests.all().map(move |pair| (route, pair)));
    let series = counts.map(|(route, (pair, count))| {
        let (method, status) = pair.map_or((OTHER, OTHER.to_owned()), |(method, status)| (method, status.to_string()));
        (vec![("route", route.to_string()), ("method", method.to_owned()), ("status", status)], count)
    });
    out.counter("petstream_requests", "HTTP requests that have ended; 499: the client left first", series)?;
    let help = "HTTP requests up to the last byte of their answer";
    out.plain_gauge("petstream_requests_in_flight", help, state.in_flight.get())?;
    let refused = state.refusals.all().map(|(pair, count)| {
        let (limit, whose) = pair.unwrap_or((OTHER, OTHER));
        ([("limit", limit), ("whose", whose)], count)
    });
    out.counter("petstream_limit_refusals", "Requests refused by a limit, of the key's or of all keys'", refused)?;
    let refused = state.engine_refusals.all().map(|(reason, count)| ([("reason", reason.unwrap_or(OTHER))], count));
    out.counter("petstream_http_refusals", "Requests refused by the HTTP engine before they reached a route", refused)
}

fn configuration(out: &mut Exposition<'_>, state: &State) -> fmt::Result {
    let help = "Whether the configuration had no errors when it was read last: 1, or 0";
    out.plain_gauge("petstream_configuration_valid", help, state.configuration_valid.get())?;
    let (name, help) = ("petstream_configuration_last_success_timestamp", "When the configuration in force was read");
    let loaded = state.configuration_loaded.get();
    out.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?.encode_gauge(&loaded)?;
    let reloads = [("applied", &state.reloads_applied), ("rejected", &state.reloads_rejected)];
    let reloads = reloads.map(|(result, count)| ([("result", result)], count.get()));
    out.counter("petstream_configuration_reloads", "How often the configuration was read again, by result", reloads)
}

fn redis(out: &mut Exposition<'_>, metrics: &RedisMetrics) -> fmt::Result {
    let calls = metrics.calls.all().map(|(result, count)| ([("result", result.unwrap_or(OTHER))], count));
    out.counter("petstream_redis_calls", "Calls of Redis, by result", calls)?;
    out.plain_histogram("petstream_redis_call", "Calls of Redis that were sent", &metrics.seconds)?;
    out.plain_gauge("petstream_redis_up", "Whether Redis can be reached: 1, or 0", metrics.up.get())?;
    let help = "Connections to Redis in place of one that had failed";
    out.plain_counter("petstream_redis_reconnects", help, metrics.reconnects.get())?;
    let help = "Replicas with a heartbeat in the last five seconds, this one included";
    out.plain_gauge("petstream_replicas", help, metrics.replicas.get())?;
    let notifications = [("sent", &metrics.sent), ("received", &metrics.received), ("invalid", &metrics.invalid)];
    let notifications = notifications.map(|(kind, count)| ([("kind", kind)], count.get()));
    let help = "Commit notifications: published, of other replicas, and messages that are none";
    out.counter("petstream_commit_notifications", help, notifications)?;
    let help = "From the publication of a commit notification to its receipt by its sender";
    out.plain_histogram("petstream_commit_notification_delay", help, &metrics.delay)
}

fn shared_limits(out: &mut Exposition<'_>, leases: &LeaseMetrics) -> fmt::Result {
    let help = "Exchanges with the limits in Redis, each of one limit";
    out.plain_counter("petstream_lease_exchanges", help, leases.exchanges.get())?;
    let by_kind = |(kind, count): (Option<&'static str>, u64)| ([("limit", kind.unwrap_or(OTHER))], count);
    let help = "Requests, tokens and streams that were taken of the limits in Redis";
    out.counter("petstream_lease_taken", help, leases.taken.all().map(by_kind))?;
    let help = "Requests, tokens and streams that were given back to the limits in Redis";
    out.counter("petstream_lease_returned", help, leases.returned.all().map(by_kind))?;
    let help = "Requests refused because Redis did not answer";
    out.plain_counter("petstream_lease_unavailable", help, leases.unavailable.get())?;
    let help = "Tokens that streams have used beyond what was taken for them, as of the last second";
    out.plain_gauge("petstream_lease_owed_tokens", help, leases.owed.get())?;
    let help = "Limits of which this replica holds, owes or knows something, as of the last second";
    out.plain_gauge("petstream_leases", help, leases.listed.get())?;
    let help = "Times that limits were not shared: Redis did not answer within 40 ms, or had lost its data";
    out.plain_counter("petstream_limits_outages", help, leases.outages.get() as u64)?;
    let is_now = |(mode, name)| ([("mode", name)], i64::from(leases.mode.get() == mode));
    let modes = (0..).zip(LeaseMetrics::MODES).map(is_now);
    out.gauge("petstream_limits_mode", "Whether limits are shared by all replicas now: 1 for the mode", modes)
}

fn times(out: &mut Exposition<'_>, models: &Models) -> fmt::Result {
    let streams = models.iter().map(|(model, metrics)| {
        ([(MODEL, &**model)], metrics.operations().map(|(_, metrics)| metrics.streams.get()).sum::<i64>())
    });
    out.gauge("petstream_streams_in_flight", "Streams up to the last byte of their answer", streams)?;
    let ended = operations(models).flat_map(|(model, operation, metrics)| {
        let states = Terminal::ALL.into_iter().zip(&metrics.durations);
        states.map(move |(state, histogram)| {
            (with_label(gen_ai_labels(model, operation), "terminal", state.name()), state, histogram)
        })
    });
    // Most of these states are rare, so a series is written only when it has a value.
    let seen = ended.filter_map(|(labels, state, histogram)| {
        let snapshot = histogram.snapshot();
        (state == Terminal::Completed || snapshot.count() > 0).then_some((labels, snapshot))
    });
    let help = "From a request's arrival to its last byte, by the state it ended in";
    out.histogram("gen_ai_server_request_duration", help, Some(&Unit::Seconds), seen)?;
    let help = "From a request's arrival to its first token";
    out.model_histogram("gen_ai_server_time_to_first_token", help, models, |metrics| &metrics.first_token)?;
    let help = "A completed stream's mean time for each token after the first";
    out.model_histogram("gen_ai_server_time_per_output_token", help, models, |metrics| &metrics.per_token)?;
    let help = "From one chunk of a stream to the next";
    out.model_histogram("gen_ai_client_operation_time_per_output_chunk", help, models, |metrics| &metrics.per_chunk)
}

fn tokens(out: &mut Exposition<'_>, models: &Models) -> fmt::Result {
    let usage = operations(models).flat_map(|(model, operation, metrics)| {
        token_types(metrics).map(|(kind, tokens)| {
            (with_label(gen_ai_labels(model, operation), TOKEN_TYPE, kind), tokens.of_request.snapshot())
        })
    });
    out.histogram("gen_ai_client_token_usage", "Tokens of a request", None, usage)?;
    let sources = models.iter().flat_map(|(model, metrics)| {
        ["input", "output"].into_iter().enumerate().flat_map(move |(at, kind)| {
            Source::ALL.into_iter().map(move |source| {
                let of_operation =
                    |metrics: &OperationMetrics| token_types(metrics)[at].1.by_source[source as usize].get();
                let count: u64 = metrics.operations().map(|(_, metrics)| of_operation(metrics)).sum();
                ([(MODEL, &**model), (TOKEN_TYPE, kind), ("source", source.name())], count)
            })
        })
    });
    out.counter("petstream_tokens", "Tokens, by where their count comes from", sources)
}

/// The name of a model, the name of one of its targets, and that target's metrics.
type ModelTarget<'a> = (&'a str, Arc<str>, Arc<TargetMetrics>);

fn upstreams(out: &mut Exposition<'_>, models: &Models) -> fmt::Result {
    fn labels<'a>((model, name, _): &'a ModelTarget<'_>) -> Labels<'a, 2> {
        [(MODEL, *model), ("target", &**name)]
    }
    let targets: Vec<ModelTarget<'_>> = models
        .iter()
        .flat_map(|(model, metrics)| metrics.targets.all().into_iter().map(|(name, target)| (&**model, name, target)))
        .collect();
    let attempts = targets.iter().flat_map(|target| {
        let outcomes = target.2.attempts.all();
        outcomes.map(|(outcome, count)| (with_label(labels(target), "outcome", outcome.unwrap_or(OTHER)), count))
    });
    out.counter("petstream_upstream_attempts", "Attempts at upstreams: ok, or why they failed", attempts)?;
    let ejections = targets.iter().map(|target| (labels(target), target.2.ejections.get()));
    out.counter("petstream_upstream_ejections", "Ejections of upstreams after failures in a row", ejections)?;
    let ejected = targets.iter().map(|target| (labels(target), target.2.ejected.get()));
    out.gauge("petstream_upstream_out", "Whether an upstream is ejected now", ejected)
}
