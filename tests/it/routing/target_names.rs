//! The names of targets, and the model that is recorded as having answered.

use serde_json::json;

use super::{answerer, refuses, says};
use crate::server::Server;
use test_support::config::model;
use test_support::frames::{first, last, request, text};
use test_support::http::Request;
use test_support::log::Log;
use test_support::upstream::{Script, Upstream};

#[tokio::test]
async fn two_models_at_one_address_have_distinct_names_in_log_metrics_and_records() {
    let log = Log::collect();
    let one = Upstream::start([refuses(500), says("b")]).await;
    let yaml = model(&[(&one, "priority: 0, model: big"), (&one, "priority: 1, model: small")], &[]);
    let server = Server::start_on_disk(&yaml).await;
    assert_eq!(answerer(&server).await, "b");
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    let (big, small) = (one.name_of("big"), one.name_of("small"));
    for (target, outcome) in [(&big, "refused_5xx"), (&small, "ok")] {
        let line = format!(
            r#"petstream_upstream_attempts_total{{gen_ai_request_model="m",target="{target}",outcome="{outcome}"}} 1"#
        );
        assert!(metrics.text().contains(&line), "{line}\n{}", metrics.text());
    }
    let record = server.records().await.remove(0);
    assert_eq!((record.target.as_deref(), record.answered_model.as_deref()), (Some(&*small), Some("up")));
    assert!(log.text().contains(&format!("{big}:refused_5xx:")) && log.text().contains(&format!("{small}:ok:")));
}

#[tokio::test]
async fn names_chosen_by_clients_do_not_become_labels() {
    let any = Upstream::start([]).await;
    any.answer_otherwise(says("a"));
    let server = Server::start_on_disk(&model(&[(&any, "")], &[]).replace("name: m", "name: '*'")).await;
    for name in ["llama-one", "llama-two"] {
        let ask = Request::chat(&request(&json!({"stream": true, "model": name})));
        assert_eq!(server.ask(&ask).await.status, 200);
    }
    let metrics = server.ask(&Request::new("GET", "/metrics")).await;
    assert!(metrics.text().contains(&format!(r#"target="{}""#, any.name_of(""))) && !metrics.text().contains("llama"));
    let records = server.records().await;
    let seen: Vec<_> = records.iter().map(|record| (record.model.as_str(), record.target.clone())).collect();
    let target = Some(any.name_of(""));
    assert_eq!(seen, [("llama-one", target.clone()), ("llama-two", target)]);
}

#[tokio::test]
async fn the_model_that_answered_is_the_first_that_the_answer_names() {
    let azure =
        r#"{"choices":[],"created":0,"id":"","model":"","object":"chat.completion.chunk","prompt_filter_results":[]}"#;
    let nameless = |data: String| data.replace(r#""model":"up","#, "");
    let long = "x".repeat(5_000);
    let cases = [
        (Script::sse([azure.to_owned(), first(), text("a"), last("stop"), "[DONE]".to_owned()]), Some("up".to_owned())),
        (Script::sse([first(), text("a"), last("stop")].map(nameless).into_iter().chain(["[DONE]".to_owned()])), None),
        (
            Script::sse(
                [first(), text("a"), last("stop")]
                    .map(|data| data.replace("\"up\"", &format!("\"{long}\"")))
                    .into_iter()
                    .chain(["[DONE]".to_owned()]),
            ),
            Some(long[..200].to_owned()),
        ),
        (refuses(500), None),
    ];
    for (script, expected) in cases {
        let a = Upstream::start([script]).await;
        let server = Server::start_on_disk(&model(&[(&a, "")], &[])).await;
        server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
        assert_eq!(server.records().await[0].answered_model, expected);
    }
}
