//! The metrics as a page of OpenMetrics text: names, kinds, labels.
//!
//! What OpenTelemetry's generative-AI conventions name has their name (`gen_ai_*`, dots as underscores, the unit at the
//! end) and their labels; everything else is `petstream_*`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::State;
use super::count::OTHER;
use super::histogram::{Histogram, Snapshot};
use super::model::{ModelMetrics, Tokens};
use super::target::TargetMetrics;
use crate::config::LOCAL_MODEL;
use crate::telemetry::record::{Source, Terminal};

const MODEL: &str = "gen_ai_request_model";
const TOKEN_TYPE: &str = "gen_ai_token_type";

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// The page while it is written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
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
        series: impl IntoIterator<Item = (L, Snapshot)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        series.try_for_each(|(labels, held)| {
            let mut encoder = metric.encode_family(&labels)?;
            encoder.encode_histogram::<NoLabelSet>(held.sum, held.count(), &held.buckets, None)
        })
    }

    /// A gauge without labels.
    fn level(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A histogram of each model.
    fn of_models(
        &mut self,
        name: &str,
        help: &str,
        models: &Models,
        of: fn(&ModelMetrics) -> &Histogram,
    ) -> fmt::Result {
        let series = models.iter().map(|(model, metrics)| (generation(model), of(metrics).snapshot()));
        self.histogram(name, help, Some(&Unit::Seconds), series)
    }
}

type Models = [(Arc<str>, Arc<ModelMetrics>)];

/// The labels that the conventions ask of every `gen_ai_*` metric.
fn generation(model: &str) -> Labels<'_, 3> {
    // Whose form of API it is, not whose model: nobody can tell that.
    let provider = if model == LOCAL_MODEL { "petstream" } else { "openai" };
    [(MODEL, model), ("gen_ai_operation_name", "chat"), ("gen_ai_provider_name", provider)]
}

fn and<'a, const N: usize>(labels: Labels<'a, N>, name: &'static str, value: &'a str) -> Vec<(&'static str, &'a str)> {
    labels.into_iter().chain([(name, value)]).collect()
}

fn kinds(metrics: &ModelMetrics) -> [(&'static str, &Tokens); 2] {
    [("input", &metrics.prompt), ("output", &metrics.completion)]
}

impl Collector for State {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let models = self.models.all();
        requests(&mut page, self)?;
        times(&mut page, &models)?;
        tokens(&mut page, &models)?;
        upstreams(&mut page, &models)?;
        let queue = self.usage_queue.get();
        page.level("petstream_usage_queue_length", "Usage records that wait to be written", queue)?;
        let (name, help) = ("petstream_usage_records_dropped", "Usage records that found the queue full");
        let mut dropped = page.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        dropped.encode_counter::<NoLabelSet, _, u64>(&self.usage_dropped.get(), None)
    }
}

fn requests(page: &mut Page<'_>, state: &State) -> fmt::Result {
    let routes = state.routes.all();
    let counts = routes.iter().flat_map(|(route, metrics)| metrics.requests.all().map(move |pair| (route, pair)));
    let series = counts.map(|(route, (pair, count))| {
        let (method, status) = pair.map_or((OTHER, OTHER.to_owned()), |(method, status)| (method, status.to_string()));
        (vec![("route", route.to_string()), ("method", method.to_owned()), ("status", status)], count)
    });
    page.counter("petstream_requests", "HTTP requests that have ended; 499: the client left first", series)?;
    let help = "HTTP requests up to the last byte of their answer";
    page.level("petstream_requests_in_flight", help, state.in_flight.get())?;
    let refused = state.refusals.all().map(|(pair, count)| {
        let (limit, whose) = pair.unwrap_or((OTHER, OTHER));
        ([("limit", limit), ("whose", whose)], count)
    });
    page.counter("petstream_limit_refusals", "Requests refused by a limit, of the key's or of all keys'", refused)?;
    let refused = state.engine_refusals.all().map(|(reason, count)| ([("reason", reason.unwrap_or(OTHER))], count));
    page.counter("petstream_http_refusals", "Requests refused by the HTTP engine before they reached a route", refused)
}

fn times(page: &mut Page<'_>, models: &Models) -> fmt::Result {
    let streams = models.iter().map(|(model, metrics)| ([(MODEL, &**model)], metrics.streams.get()));
    page.gauge("petstream_streams_in_flight", "Streams up to the last byte of their answer", streams)?;
    let ended = models.iter().flat_map(|(model, metrics)| {
        let states = Terminal::ALL.into_iter().zip(&metrics.durations);
        states.map(move |(state, histogram)| (and(generation(model), "terminal", state.name()), state, histogram))
    });
    // Most ways to end are rare: those that nobody has seen yet would fill the page.
    let seen = ended.filter_map(|(labels, state, histogram)| {
        let held = histogram.snapshot();
        (state == Terminal::Completed || held.count() > 0).then_some((labels, held))
    });
    let help = "From a request's arrival to its last byte, by the state it ended in";
    page.histogram("gen_ai_server_request_duration", help, Some(&Unit::Seconds), seen)?;
    let help = "From a request's arrival to its first token";
    page.of_models("gen_ai_server_time_to_first_token", help, models, |metrics| &metrics.first_token)?;
    let help = "A completed stream's mean time for each token after the first";
    page.of_models("gen_ai_server_time_per_output_token", help, models, |metrics| &metrics.per_token)?;
    let help = "From one chunk of a stream to the next";
    page.of_models("gen_ai_client_operation_time_per_output_chunk", help, models, |metrics| &metrics.per_chunk)
}

fn tokens(page: &mut Page<'_>, models: &Models) -> fmt::Result {
    let each = || models.iter().flat_map(|(model, metrics)| kinds(metrics).map(|(kind, tokens)| (model, kind, tokens)));
    let usage =
        each().map(|(model, kind, tokens)| (and(generation(model), TOKEN_TYPE, kind), tokens.of_request.snapshot()));
    page.histogram("gen_ai_client_token_usage", "Tokens of a request", None, usage)?;
    let sources = each().flat_map(|(model, kind, tokens)| {
        let sources = Source::ALL.into_iter().zip(&tokens.by_source);
        sources.map(move |(source, counter)| {
            ([(MODEL, &**model), (TOKEN_TYPE, kind), ("source", source.name())], counter.get())
        })
    });
    page.counter("petstream_tokens", "Tokens, by where their count comes from", sources)
}

/// A model's name, its target's, and the target.
type OfTarget<'a> = (&'a str, Arc<str>, Arc<TargetMetrics>);

fn upstreams(page: &mut Page<'_>, models: &Models) -> fmt::Result {
    fn labels<'a>((model, name, _): &'a OfTarget<'_>) -> Labels<'a, 2> {
        [(MODEL, *model), ("target", &**name)]
    }
    let targets: Vec<OfTarget<'_>> = models
        .iter()
        .flat_map(|(model, metrics)| metrics.targets.all().into_iter().map(|(name, target)| (&**model, name, target)))
        .collect();
    let attempts = targets.iter().flat_map(|target| {
        let outcomes = target.2.attempts.all();
        outcomes.map(|(outcome, count)| (and(labels(target), "outcome", outcome.unwrap_or(OTHER)), count))
    });
    page.counter("petstream_upstream_attempts", "Attempts at upstreams: ok, or why they failed", attempts)?;
    let ejections = targets.iter().map(|target| (labels(target), target.2.ejections.get()));
    page.counter("petstream_upstream_ejections", "Upstreams left alone after failures in a row", ejections)?;
    let out = targets.iter().map(|target| (labels(target), target.2.out.get()));
    page.gauge("petstream_upstream_out", "Whether an upstream is left alone now", out)
}
