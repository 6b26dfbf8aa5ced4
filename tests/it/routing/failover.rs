//! Failures before the first byte to the client are retried on another target; later failures are not.

use serde_json::{Value, json};

use super::{answerer, asked, refuses, says, stream};
use crate::server::Server;
use test_support::completion_stream::{self, Ending};
use test_support::config::model;
use test_support::frames::{answer, first, request};
use test_support::http::{Piece, Request};
use test_support::log::Log;
use test_support::upstream::{Gate, Script, Upstream};
use test_support::usage_records::Usage;

fn with_retry_after(status: u16, seconds: u32) -> Script {
    Script::whole(status, &format!("content-type: application/json\r\nretry-after: {seconds}\r\n"), "{}")
}

/// A preferred target that plays `script`, and another one that answers.
async fn fails_over(script: Script, entry: &str, streaming: bool) -> Vec<Usage> {
    let second = if streaming { says("b") } else { Script::json(200, &answer("b")) };
    let (a, b) = (Upstream::start([script]).await, Upstream::start([second]).await);
    let yaml = model(&[(&a, &format!("priority: 0, {entry}")), (&b, "priority: 1")], &[]);
    let server = Server::start_on_disk(&yaml).await;
    let ask = Request::chat(&request(&json!({ "stream": streaming })));
    let whole = server.ask(&ask).await;
    if streaming {
        let transcript = whole.transcript();
        transcript.assert_contract(1, false);
        assert_eq!(transcript.text(0), "b");
    } else {
        assert_eq!((whole.status, whole.text()), (200, answer("b").as_str()));
    }
    assert_eq!(asked(&[&a, &b]), [1, 1]);
    assert_eq!(a.request(1).await.body, b.request(1).await.body, "both are asked the same");
    let records = server.records().await;
    assert_eq!(records.len(), 1, "one request, one record");
    assert_eq!((records[0].attempts, records[0].target.as_deref()), (2, Some(b.name().as_str())));
    assert_eq!(records[0].ending(), ("completed", None, 200));
    a.await_closed().await;
    records
}

#[tokio::test]
async fn statuses_that_are_retried_elsewhere() {
    for streaming in [true, false] {
        for status in [302, 401, 402, 403, 404, 405, 407, 408, 410, 421, 424, 425, 429, 451, 500, 502, 503, 504, 529] {
            fails_over(refuses(status), "", streaming).await;
        }
        for status in [429, 503] {
            fails_over(with_retry_after(status, 20), "", streaming).await;
        }
    }
}

#[tokio::test]
async fn connections_that_end_before_the_answer() {
    for streaming in [true, false] {
        let scripts = [
            Script::new().reset(),
            Script::new().close(),
            Script::new().write("HTTP/1.1 200 OK\r\ncontent-").close(),
            Script::new().write("this is no HTTP\r\n\r\n").close(),
        ];
        for script in scripts {
            fails_over(script, "", streaming).await;
        }
    }
}

#[tokio::test]
async fn an_unreachable_target() {
    let (mut a, b) = (Upstream::start([]).await, Upstream::start([says("b"), Script::json(200, &answer("b"))]).await);
    a.unlisten().await;
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[]);
    let server = Server::start_on_disk(&yaml).await;
    assert_eq!(answerer(&server).await, "b");
    assert_eq!(server.ask(&Request::chat(&request(&json!({})))).await.status, 200);
    let attempts: Vec<_> = server.records().await.iter().map(|record| record.attempts).collect();
    assert_eq!(attempts, [2, 2]);
}

#[tokio::test]
async fn no_first_event_in_time() {
    let never = Gate::new();
    let scripts =
        [Script::new().wait(&never), Script::stream().wait(&never), Script::stream().chunk(": x\n\n").wait(&never)];
    for script in scripts {
        fails_over(script, "timeouts: {first_token: 100ms}", true).await;
    }
}

#[tokio::test]
async fn a_plain_answer_that_takes_too_long_is_not_generated_a_second_time() {
    let never = Gate::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let slow = [Script::new().wait(&never), Script::new().write(head).wait(&never)];
    for script in slow {
        let (a, b) = (Upstream::start([script]).await, Upstream::start([]).await);
        let entry = "priority: 0, timeouts: {first_token: 100ms, idle: 100ms}";
        // By default the same target may be retried too.
        let server =
            Server::start(&model(&[(&a, entry), (&b, "priority: 1")], &["retries: {backoff: 1ms..1ms}"])).await;
        let error = server.ask(&Request::chat(&request(&json!({})))).await.error(504);
        assert_eq!(error["code"], "upstream_timeout");
        assert_eq!(asked(&[&a, &b]), [1, 0]);
        server.stop().await;
    }
}

#[tokio::test]
async fn streams_that_end_before_their_first_event() {
    let scripts = [
        Script::stream().end().close(),
        Script::stream().chunk(": x\n\n").close(),
        Script::stream().chunk("data: {\"choi").close(),
        Script::stream().frame("no JSON").close(),
        Script::stream().write("zz\r\n").close(),
    ];
    for script in scripts {
        fails_over(script, "", true).await;
    }
}

#[tokio::test]
async fn malformed_plain_answers() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    let scripts = [
        Script::new().write(format!("{head}{{\"choices\":")).close(),
        Script::json(200, "no JSON"),
        Script::json(200, "{\"error\":{\"message\":\"Busy.\",\"code\":503}}"),
        Script::whole(200, "content-type: text/html\r\n", "<html>"),
    ];
    for script in scripts {
        fails_over(script, "", false).await;
    }
}

#[tokio::test]
async fn an_error_as_the_first_event_of_a_200() {
    for error in [json!({"message": "Busy.", "code": "busy"}), json!({"message": "Busy.", "code": 500}), json!("Busy.")]
    {
        let error = json!({ "error": error }).to_string();
        fails_over(Script::sse([error.as_str()]), "", true).await;
        fails_over(Script::json(200, &error), "", true).await;
    }
    let named = Script::stream().chunk("event: error\ndata: {\"message\":\"Busy.\"}\n\n").end();
    fails_over(named, "", true).await;
    fails_over(Script::stream().chunk("data: {\"error\":{\"message\":\"Busy.\"}}").end(), "", true).await;
    fails_over(Script::sse(["[DONE]"]), "", true).await;
}

#[tokio::test]
async fn failures_after_events_without_a_token() {
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let error = "event: error\ndata: {\"error\":{\"message\":\"Overloaded\"}}\n\n";
    let filter = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    let role = format!("data: {}\n\n", first());
    let counts = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}\n\n";
    let begins = [ping, filter, &role, counts, "data: {}\n\n", "data: : wait\n\n", "event: ping\ndata: hello\n\n"];
    for begin in begins {
        let script = |rest: &str| Script::stream().chunk(format!("{begin}{rest}"));
        fails_over(script(error).end().close(), "", true).await;
        fails_over(script("data: [DONE]\n\n").end(), "", true).await;
        fails_over(script("").end().close(), "", true).await;
        fails_over(script("").close(), "", true).await;
        fails_over(script("data: {\"choices\":\n\n").close(), "", true).await;
    }
    let all = begins.concat().repeat(2);
    fails_over(Script::stream().chunk(format!("{all}{error}")).end().close(), "", true).await;
}

#[tokio::test]
async fn plain_answers_with_an_error_or_without_a_choice() {
    let message = json!({"role": "assistant", "content": ""});
    for body in [
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "error"}], "error": {"message": "No.", "code": 502}}),
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "error"}]}),
        json!({"choices": []}),
        json!({"choices": null, "usage": {"prompt_tokens": 9, "completion_tokens": 9}}),
        json!({"choices": {}}),
        json!({"id": "c"}),
    ] {
        fails_over(Script::json(200, &body.to_string()), "", false).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_a_stream() {
    fails_over(Script::json(200, &answer("a")), "", true).await;
    fails_over(Script::whole(200, "content-type: text/html\r\n", "<html>"), "", true).await;
}

#[tokio::test]
async fn never_after_a_byte_went_out() {
    let ends: [fn(Script) -> Script; 5] = [
        Script::reset,
        Script::close,
        |script| script.end().close(),
        |script| script.frame("{\"error\":{\"message\":\"Busy.\",\"code\":503}}"),
        |script| script.frame("no JSON"),
    ];
    for end in ends {
        let gate = Gate::new();
        let a = Upstream::start([end(Script::stream().frame(&first()).wait(&gate))]).await;
        let b = Upstream::start([]).await;
        let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[]);
        let server = Server::start_on_disk(&yaml).await;
        let mut connection = server.connect().await;
        let mut whole = connection.ask(&stream()).await;
        let Piece::Data(begin) = whole.piece().await else { panic!("a first piece") };
        gate.open();
        let body = [begin.to_vec(), whole.body().await].concat();
        assert!(matches!(completion_stream::read(&body).ending, Ending::Failed(_)));
        drop(connection);
        assert_eq!(b.accepted(), 0, "the other target is not even called");
        let records = server.records().await;
        let attempts: Vec<_> = records.iter().map(|record| (record.attempts, record.terminal.as_str())).collect();
        assert_eq!(attempts, [(1, "failed")]);
    }
}

#[tokio::test]
async fn client_errors_are_reported_once_and_are_no_failure_of_the_target() {
    // A single failure would eject.
    for streaming in [true, false] {
        for status in [400, 404, 409, 413, 422] {
            let error = json!({"error": {"message": "No.", "type": "invalid_request_error", "code": "no"}}).to_string();
            let second = if streaming { says("a") } else { Script::json(200, &answer("a")) };
            let a = Upstream::start([Script::json(status, &error), second]).await;
            let b = Upstream::start([]).await;
            let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &["ejection: {failures: 1}"]);
            let server = Server::start(&yaml).await;
            let ask = Request::chat(&request(&json!({ "stream": streaming })));
            assert_eq!(server.ask(&ask).await.status, status);
            assert_eq!(server.ask(&ask).await.status, 200);
            assert_eq!((a.requests().len(), b.accepted()), (2, 0), "{status}");
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn the_last_failure_is_reported_when_all_targets_fail() {
    let a = Upstream::start([Script::new().close()]).await;
    let b = Upstream::start([with_retry_after(429, 7)]).await;
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[]);
    let server = Server::start_on_disk(&yaml).await;
    let whole = server.ask(&stream()).await;
    assert_eq!(
        (whole.error(429)["code"].as_str(), whole.header("retry-after")),
        (Some("rate_limit_exceeded"), Some("7"))
    );
    let records = server.records().await;
    assert_eq!((records[0].attempts, records[0].target.as_deref()), (2, Some(b.name().as_str())));
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_retries() {
    let never = Gate::new();
    let (a, b) = (Upstream::start([Script::new().wait(&never)]).await, Upstream::start([]).await);
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[]);
    let server = Server::start_on_disk(&yaml).await;
    let mut connection = server.connect().await;
    connection.send(&stream()).await;
    a.request(1).await;
    connection.reset();
    a.await_closed().await;
    let records = server.records().await;
    assert_eq!(records[0].ending(), ("client_gone", None, 499));
    assert_eq!(b.accepted(), 0);
}

#[tokio::test]
async fn each_target_gets_its_own_name_for_the_model() {
    let a = Upstream::start([refuses(500)]).await;
    let b = Upstream::start([says("b")]).await;
    let yaml = model(&[(&a, "priority: 0, model: one"), (&b, "priority: 1, model: other, usage: never")], &[]);
    let server = Server::start(&yaml).await;
    assert_eq!(answerer(&server).await, "b");
    let body =
        |recorded: &test_support::upstream::Recorded| -> Value { serde_json::from_slice(&recorded.body).unwrap() };
    let (one, other) = (body(&a.request(1).await), body(&b.request(1).await));
    assert_eq!((&one["model"], &one["stream_options"]["include_usage"]), (&json!("one"), &json!(true)));
    assert_eq!((&other["model"], other.get("stream_options")), (&json!("other"), None));
    server.stop().await;
}

#[tokio::test]
async fn attempts_are_one_field_of_the_requests_line() {
    let log = Log::collect();
    let a = Upstream::start([refuses(500)]).await;
    let b = Upstream::start([says("b")]).await;
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[]);
    let server = Server::start(&yaml).await;
    assert_eq!(answerer(&server).await, "b");
    server.stop().await;
    let lines: Vec<Value> = log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attempts: Vec<&str> = lines.iter().filter_map(|line| line["fields"]["attempts"].as_str()).collect();
    let [attempts] = attempts[..] else { panic!("one line: {attempts:?}") };
    let outcomes: Vec<&str> = attempts.split(' ').map(|one| one.rsplit_once(':').unwrap().0).collect();
    assert_eq!(outcomes, [format!("{}:refused_5xx", a.name()), format!("{}:ok", b.name())]);
}
