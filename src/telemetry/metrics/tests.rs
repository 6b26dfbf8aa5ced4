//! The exposition as Prometheus reads it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::handle::MAX_ROUTES;
use super::*;
use crate::telemetry::record::{Source, Terminal};
use crate::wire::operation::Operation;

fn finished(intervals: &IntervalHistogram) -> FinishedCompletion<'_> {
    FinishedCompletion {
        terminal: Terminal::Completed,
        duration: Duration::from_millis(1500),
        prompt_tokens: 12,
        completion_tokens: 5,
        source: Some(Source::Exact),
        intervals,
        reported_tokens: 0,
    }
}

/// Metrics with a value in most series.
fn sample_metrics() -> Metrics {
    let metrics = Metrics::new();
    let model = metrics.model("gpt-4o-mini");
    let chat = model.operation(Operation::Chat);
    let mut intervals = IntervalHistogram::default();
    (0..4).for_each(|_| intervals.record(Duration::from_millis(30)));
    chat.first_token(Duration::from_millis(300));
    chat.finished(&finished(&intervals));
    chat.finished(&FinishedCompletion {
        terminal: Terminal::ClientGone,
        source: Some(Source::Counted),
        ..finished(&IntervalHistogram::default())
    });
    chat.finished(&FinishedCompletion {
        terminal: Terminal::Refused,
        source: None,
        ..finished(&IntervalHistogram::default())
    });
    let target = model.target("api.openai.com/v1");
    target.attempt(TargetMetrics::OK);
    target.attempt("closed");
    drop(target.ejected());
    metrics.route(Some("/v1/chat/completions")).count(&Method::POST, 200);
    metrics.route(Some("/v1/chat/completions")).count(&Method::POST, 499);
    metrics.route(None).count(&Method::GET, 404);
    metrics.refused("tokens_per_minute", "key");
    metrics.usage_records(7, 3);
    metrics
}

/// The value of a series, given by its name and labels.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn every_name_and_type_is_as_documented() {
    let text = sample_metrics().encode();
    let kinds: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let expected = [
        "gen_ai_client_operation_time_per_output_chunk_seconds histogram",
        "gen_ai_client_token_usage histogram",
        "gen_ai_server_request_duration_seconds histogram",
        "gen_ai_server_time_per_output_token_seconds histogram",
        "gen_ai_server_time_to_first_token_seconds histogram",
        "petstream_build info",
        "petstream_configuration_last_success_timestamp_seconds gauge",
        "petstream_configuration_reloads counter",
        "petstream_configuration_valid gauge",
        "petstream_database_up gauge",
        "petstream_limit_refusals counter",
        "petstream_requests counter",
        "petstream_requests_in_flight gauge",
        "petstream_streams_in_flight gauge",
        "petstream_tokens counter",
        "petstream_upstream_attempts counter",
        "petstream_upstream_ejections counter",
        "petstream_upstream_out gauge",
        "petstream_usage_queue_length gauge",
        "petstream_usage_records_dropped counter",
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn recorded_values_are_in_the_exposition() {
    let text = sample_metrics().encode();
    let model = r#"gen_ai_request_model="gpt-4o-mini""#;
    let generation = format!(r#"{model},gen_ai_operation_name="chat",gen_ai_provider_name="openai""#);
    let expected = [
        (r#"petstream_requests_total{route="/v1/chat/completions",method="POST",status="200"}"#.to_owned(), 1.0),
        (r#"petstream_requests_total{route="/v1/chat/completions",method="POST",status="499"}"#.to_owned(), 1.0),
        (r#"petstream_requests_total{route="other",method="GET",status="404"}"#.to_owned(), 1.0),
        (r#"petstream_limit_refusals_total{limit="tokens_per_minute",whose="key"}"#.to_owned(), 1.0),
        ("petstream_usage_records_dropped_total".to_owned(), 3.0),
        ("petstream_usage_queue_length".to_owned(), 7.0),
        (format!(r#"petstream_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION")), 1.0),
        (format!(r#"gen_ai_server_request_duration_seconds_sum{{{generation},terminal="completed"}}"#), 1.5),
        (format!(r#"gen_ai_server_request_duration_seconds_count{{{generation},terminal="client_gone"}}"#), 1.0),
        (format!("gen_ai_server_time_to_first_token_seconds_sum{{{generation}}}"), 0.3),
        (format!(r#"gen_ai_server_time_to_first_token_seconds_bucket{{le="0.25",{generation}}}"#), 0.0),
        (format!(r#"gen_ai_server_time_to_first_token_seconds_bucket{{le="0.5",{generation}}}"#), 1.0),
        (format!(r#"gen_ai_server_time_to_first_token_seconds_bucket{{le="+Inf",{generation}}}"#), 1.0),
        (format!("gen_ai_client_operation_time_per_output_chunk_seconds_count{{{generation}}}"), 4.0),
        (format!("gen_ai_client_operation_time_per_output_chunk_seconds_sum{{{generation}}}"), 0.12),
        (format!("gen_ai_server_time_per_output_token_seconds_count{{{generation}}}"), 1.0),
        (format!("gen_ai_server_time_per_output_token_seconds_sum{{{generation}}}"), 0.03),
        (format!(r#"gen_ai_client_token_usage_sum{{{generation},gen_ai_token_type="input"}}"#), 24.0),
        (format!(r#"gen_ai_client_token_usage_count{{{generation},gen_ai_token_type="output"}}"#), 2.0),
        (format!(r#"petstream_tokens_total{{{model},gen_ai_token_type="output",source="exact"}}"#), 5.0),
        (format!(r#"petstream_tokens_total{{{model},gen_ai_token_type="output",source="counted"}}"#), 5.0),
        (format!(r#"petstream_tokens_total{{{model},gen_ai_token_type="input",source="estimated"}}"#), 0.0),
        (format!(r#"petstream_upstream_attempts_total{{{model},target="api.openai.com/v1",outcome="ok"}}"#), 1.0),
        (format!(r#"petstream_upstream_attempts_total{{{model},target="api.openai.com/v1",outcome="closed"}}"#), 1.0),
        (format!(r#"petstream_upstream_ejections_total{{{model},target="api.openai.com/v1"}}"#), 1.0),
        (format!(r#"petstream_upstream_out{{{model},target="api.openai.com/v1"}}"#), 0.0),
    ];
    for (series, expected) in expected {
        assert_eq!(value(&text, &series), Some(expected), "{series}\n{text}");
    }
    assert!(!text.contains(r#"terminal="shutdown""#), "a state that has not occurred has no series");
}

#[test]
fn redis_has_metrics_once_it_is_used() {
    let metrics = sample_metrics();
    let before = metrics.encode();
    assert!(!before.contains("redis") && !before.contains("petstream_replicas") && !before.contains("notification"));
    let redis = metrics.redis();
    redis.called("ok", Some(Duration::from_micros(300)));
    redis.called("down", None);
    redis.reached(true);
    redis.reconnected();
    redis.replicas(3);
    redis.notification_sent();
    redis.notification_received();
    redis.notification_invalid();
    redis.notification_delay(Duration::from_millis(2));
    for i in 0..100 {
        redis.called(Box::leak(format!("w{i}").into_boxed_str()), None);
    }
    let text = metrics.encode();
    let new: BTreeSet<_> = text.lines().filter(|line| line.starts_with("# TYPE ") && !before.contains(*line)).collect();
    let expected = [
        "# TYPE petstream_commit_notification_delay_seconds histogram",
        "# TYPE petstream_commit_notifications counter",
        "# TYPE petstream_redis_call_seconds histogram",
        "# TYPE petstream_redis_calls counter",
        "# TYPE petstream_redis_reconnects counter",
        "# TYPE petstream_redis_up gauge",
        "# TYPE petstream_replicas gauge",
    ];
    assert_eq!(new, BTreeSet::from(expected));
    for (series, expected) in [
        (r#"petstream_redis_calls_total{result="ok"}"#, 1.0),
        (r#"petstream_redis_calls_total{result="down"}"#, 1.0),
        (r#"petstream_redis_calls_total{result="other"}"#, 94.0),
        ("petstream_redis_call_seconds_count", 1.0),
        (r#"petstream_redis_call_seconds_bucket{le="0.0005"}"#, 1.0),
        ("petstream_redis_up", 1.0),
        ("petstream_redis_reconnects_total", 1.0),
        ("petstream_replicas", 3.0),
        (r#"petstream_commit_notifications_total{kind="sent"}"#, 1.0),
        (r#"petstream_commit_notifications_total{kind="received"}"#, 1.0),
        (r#"petstream_commit_notifications_total{kind="invalid"}"#, 1.0),
        ("petstream_commit_notification_delay_seconds_sum", 0.002),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
}

#[test]
fn gauges_count_while_their_guards_exist() {
    let metrics = Metrics::new();
    let model = metrics.model("*");
    let chat = model.operation(Operation::Chat);
    let exposed = |series: &str| value(&metrics.encode(), series);
    let streams = r#"petstream_streams_in_flight{gen_ai_request_model="*"}"#;
    let (first, second, request) = (chat.stream_begins(), chat.stream_begins(), metrics.request_begins());
    assert_eq!((exposed(streams), exposed("petstream_requests_in_flight")), (Some(2.0), Some(1.0)));
    drop((first, request));
    assert_eq!((exposed(streams), exposed("petstream_requests_in_flight")), (Some(1.0), Some(0.0)));
    drop(second);
    assert_eq!(exposed(streams), Some(0.0));
    let target = model.target("h/v1");
    let out = r#"petstream_upstream_out{gen_ai_request_model="*",target="h/v1"}"#;
    let ejected = target.ejected();
    assert_eq!(exposed(out), Some(1.0));
    drop(ejected);
    assert_eq!(exposed(out), Some(0.0));
}

#[test]
fn handles_of_one_name_share_their_metrics() {
    let metrics = Metrics::new();
    assert!(Arc::ptr_eq(&metrics.model("a"), &metrics.clone().model("a")));
    assert!(!Arc::ptr_eq(&metrics.model("a"), &metrics.model("b")));
    assert!(Arc::ptr_eq(&metrics.model("a").target("t"), &metrics.model("a").target("t")));
    assert!(!Arc::ptr_eq(&metrics.model("a").target("t"), &metrics.model("b").target("t")));
}

#[test]
fn the_number_of_series_is_bounded() {
    let metrics = sample_metrics();
    let fill = |from: usize| {
        let model = metrics.model("m");
        for i in from..from + 5000 {
            metrics.route(Some(&format!("/{i}"))).count(&Method::GET, 200);
            let method = Method::from_bytes(format!("M{i}").as_bytes()).unwrap();
            metrics.route(Some("/v1/models")).count(&method, u16::try_from(i % 900).unwrap());
            let _ = metrics.model(&format!("m{i}"));
            let _ = model.target(&format!("t{i}"));
            let word: &'static str = Box::leak(format!("w{i}").into_boxed_str());
            model.target("t").attempt(word);
            metrics.refused(word, "key");
        }
        metrics.encode()
    };
    let (once, twice) = (fill(0), fill(5000));
    assert_eq!(once.lines().count(), twice.lines().count());
    assert!(twice.contains(r#"petstream_requests_total{route="other",method="GET",status="200"}"#));
    assert!(twice.contains(r#"petstream_limit_refusals_total{limit="other",whose="other"}"#));
    assert!(twice.contains(r#"petstream_streams_in_flight{gen_ai_request_model="other"}"#));
    assert!(twice.contains(r#"gen_ai_request_model="m",target="t",outcome="other"}"#));
    assert!(twice.contains(r#"petstream_upstream_out{gen_ai_request_model="m",target="other"}"#));
    let series = twice.lines().filter(|line| line.starts_with("petstream_requests_total")).count();
    assert!(series <= (MAX_ROUTES + 1) * 49, "{series}");
}

#[test]
fn labels_are_escaped() {
    let metrics = Metrics::new();
    let _ = metrics.model("a\"b\\c\nd");
    assert!(metrics.encode().contains(r#"petstream_streams_in_flight{gen_ai_request_model="a\"b\\c\nd"} 0"#));
}

#[test]
fn the_local_model_is_its_own_provider() {
    let metrics = Metrics::new();
    let _ = metrics.model(crate::config::LOCAL_MODEL);
    let series = r#"gen_ai_request_model="petstore-ai",gen_ai_operation_name="chat",gen_ai_provider_name="petstream""#;
    assert!(metrics.encode().contains(series));
}

#[test]
fn operations_have_series_of_their_own_and_common_totals() {
    let metrics = Metrics::new();
    let model = metrics.model("m");
    let none = IntervalHistogram::default();
    for operation in [Operation::Chat, Operation::Embeddings] {
        model.operation(operation).finished(&finished(&none));
    }
    let text = metrics.encode();
    for operation in ["chat", "embeddings"] {
        let labels =
            format!(r#"gen_ai_request_model="m",gen_ai_operation_name="{operation}",gen_ai_provider_name="openai""#);
        let count = format!(r#"gen_ai_server_request_duration_seconds_count{{{labels},terminal="completed"}}"#);
        assert_eq!(value(&text, &count), Some(1.0), "{operation}");
    }
    assert!(!text.contains("text_completion"), "an operation without requests has no series");
    let tokens = r#"petstream_tokens_total{gen_ai_request_model="m",gen_ai_token_type="input",source="exact"}"#;
    assert_eq!(value(&text, tokens), Some(2.0 * finished(&none).prompt_tokens as f64));
}

#[test]
fn completions_without_intervals_have_no_time_per_token() {
    let metrics = Metrics::new();
    let model = metrics.model("m");
    let mut intervals = IntervalHistogram::default();
    intervals.record(Duration::from_secs(1));
    for odd in [
        FinishedCompletion { completion_tokens: 1, ..finished(&intervals) },
        FinishedCompletion { completion_tokens: 0, ..finished(&intervals) },
        FinishedCompletion { source: None, ..finished(&intervals) },
        FinishedCompletion { terminal: Terminal::Failed, ..finished(&intervals) },
        finished(&IntervalHistogram::default()),
    ] {
        model.operation(Operation::Chat).finished(&odd);
    }
    let labels = r#"{gen_ai_request_model="m",gen_ai_operation_name="chat",gen_ai_provider_name="openai"}"#;
    let count = format!("gen_ai_server_time_per_output_token_seconds_count{labels}");
    assert_eq!(value(&metrics.encode(), &count), Some(0.0));
}

#[test]
fn the_order_of_the_exposition_is_stable() {
    let metrics = sample_metrics();
    assert_eq!(metrics.encode(), metrics.encode());
    let states: Vec<_> = Terminal::ALL.iter().map(|state| *state as usize).collect();
    assert_eq!(states, Vec::from_iter(0..Terminal::ALL.len()));
    let sources: Vec<_> = Source::ALL.iter().map(|source| *source as usize).collect();
    assert_eq!(sources, Vec::from_iter(0..Source::ALL.len()));
}

#[test]
fn each_label_has_a_bounded_number_of_values_and_one_for_all_others() {
    let metrics = Metrics::new();
    let words: Vec<&'static str> = (0..300).map(|i| &*Box::leak(format!("w{i}").into_boxed_str())).collect();
    let model = metrics.model("w0");
    for word in &words {
        let _ = (metrics.model(word), model.target(word));
        model.target("w0").attempt(word);
        metrics.route(Some(word)).count(&Method::GET, 200);
        metrics.refused(word, "key");
        metrics.refused_by_engine(word);
    }
    for status in 200..300 {
        metrics.route(Some("w0")).count(&Method::GET, status);
    }
    let text = metrics.encode();
    let series = |name: &str, labels: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        let others = lines.clone().filter(|line| line.contains("=\"other\"")).count();
        (lines.count(), others)
    };
    assert_eq!(series("petstream_streams_in_flight{", ""), (257, 1), "models");
    assert_eq!(series("petstream_upstream_out{", "request_model=\"w0\""), (65, 1), "upstreams of a model");
    assert_eq!(series("petstream_upstream_attempts_total{", "target=\"w0\""), (25, 1), "outcomes");
    assert_eq!(series("petstream_requests_total{", "method=\"GET\",status=\"200\""), (65, 1), "routes");
    assert_eq!(series("petstream_requests_total{", "route=\"w0\""), (49, 1), "pairs of method and status");
    assert_eq!(series("petstream_limit_refusals_total{", ""), (17, 1), "pairs of limit and owner");
    assert_eq!(series("petstream_http_refusals_total{", ""), (9, 1), "reasons of the HTTP engine");
}
