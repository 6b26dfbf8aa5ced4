//! Failures in the middle of a stream: on every surface, translated and native, the stream says that it has failed, once.

use serde_json::json;

use super::{Messages, Responses, Surface, events, native};
use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::{first, frame, text};
use test_support::http::Piece;
use test_support::surface_stream::SurfaceEnding;
use test_support::upstream::{Gate, Script, Upstream};

/// A way to get an answer.
#[derive(Clone, Copy, Debug)]
struct Way {
    surface: Surface,
    native: bool,
}

impl Way {
    const ALL: [Self; 4] = [
        Self { surface: Responses, native: false },
        Self { surface: Responses, native: true },
        Self { surface: Messages, native: false },
        Self { surface: Messages, native: true },
    ];

    /// A stream that has said `ab` and goes on.
    fn begun(self) -> Script {
        if self.native {
            let (begin, _) = native(self.surface);
            let said = begin.iter().rposition(|event| event.to_string().contains("\"b\"")).unwrap();
            events(&begin[..=said])
        } else {
            [first(), text("a"), text("b")].iter().fold(Script::stream(), |script, data| script.frame(data))
        }
    }

    /// An error of the upstream's own.
    fn error(self) -> String {
        match (self.native, self.surface) {
            (false, _) => frame(&json!({"error": {"message": "Gone.", "type": "x", "code": "gone"}}).to_string()),
            (true, Responses) => super::event(
                &json!({"type": "error", "sequence_number": 3, "code": "gone", "message": "Gone.", "param": null}),
            ),
            (true, Messages) => {
                super::event(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "Gone."}}))
            }
        }
    }

    fn upstream(self, more: &str) -> String {
        let apis = if self.native { self.surface.name() } else { "chat" };
        format!("apis: [{apis}], {more}")
    }
}

/// The code of responses and the type of messages with which each way fails; the record's reason is the code.
async fn fails(change: impl Fn(Way, Script) -> Script, upstream_settings: &str, code: &str, kind: &str) {
    for way in Way::ALL {
        let upstream = Upstream::start([change(way, way.begun())]).await;
        let server = Server::start_on_disk(&one_model(&upstream, &way.upstream(upstream_settings))).await;
        let transcript = way.surface.read(&server.ask(&way.surface.stream()).await);
        let SurfaceEnding::Failed(error) = &transcript.ending else { panic!("{way:?} {transcript:#?}") };
        match way.surface {
            Responses => {
                assert_eq!(error["code"], code, "{way:?}");
                let response = &transcript.last("response.failed")["response"];
                assert_eq!(response["error"]["message"], error["message"], "{way:?}");
            }
            Messages => assert_eq!(error["type"], kind, "{way:?}"),
        }
        assert_eq!(transcript.text, "ab", "{way:?}");
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, &*record.terminal), (way.surface.name(), "failed"), "{way:?}");
        assert_eq!(record.reason.as_deref(), Some(code), "{way:?}");
        assert!(record.completion_tokens >= 2, "{way:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_closes_before_the_end() {
    fails(|_, script| script.close(), "", "upstream_closed", "api_error").await;
    fails(|_, script| script.end().close(), "", "upstream_closed", "api_error").await;
    fails(|_, script| script.reset(), "", "upstream_closed", "api_error").await;
}

#[tokio::test]
async fn an_end_that_only_looks_like_one() {
    let done = |way: Way, script: Script| if way.native { script.frame("[DONE]").end() } else { script.end() };
    fails(done, "", "upstream_closed", "api_error").await;
}

#[tokio::test]
async fn an_event_that_is_no_json() {
    fails(|_, script| script.frame("{\"type\":"), "", "upstream_malformed", "api_error").await;
    fails(|_, script| script.chunk(b"data: {\"type\":\"\xff\"}\n\n"), "", "upstream_malformed", "api_error").await;
}

#[tokio::test]
async fn an_upstream_that_falls_silent() {
    let silent = |_, script: Script| script.wait(&Gate::new());
    fails(silent, "timeouts: {idle: 300ms}", "upstream_timeout", "timeout_error").await;
}

#[tokio::test]
async fn an_error_of_the_upstreams_own() {
    for way in Way::ALL {
        let upstream = Upstream::start([way.begun().chunk(way.error())]).await;
        let server = Server::start(&one_model(&upstream, &way.upstream(""))).await;
        let transcript = way.surface.read(&server.ask(&way.surface.stream()).await);
        let SurfaceEnding::Failed(error) = &transcript.ending else { panic!("{way:?} {transcript:#?}") };
        assert_eq!(error["message"], "Gone.", "{way:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_failure_before_the_first_token_has_a_status() {
    for way in Way::ALL {
        let upstream = Upstream::start([Script::json(429, r#"{"error":{"message":"Slow.","type":"x"}}"#)]).await;
        let server = Server::start(&one_model(&upstream, &way.upstream(""))).await;
        let answer = server.ask(&way.surface.stream()).await;
        let error = way.surface.error(&answer, 429);
        assert_eq!(error["message"], "Slow.", "{way:?}");
        let kind = if way.surface == Messages { "rate_limit_error" } else { "x" };
        assert_eq!(error["type"], kind, "{way:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_failure_behind_the_head_but_before_any_event() {
    for way in Way::ALL {
        let gate = Gate::new();
        let upstream = Upstream::start([Script::stream().wait(&gate).close()]).await;
        let server = Server::start(&format!("{}hold: 0s\n", one_model(&upstream, &way.upstream("")))).await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&way.surface.stream()).await;
        assert_eq!(answer.status(), 200, "{way:?}");
        gate.open();
        let transcript = way.surface.read_body(&answer.body().await);
        assert!(matches!(transcript.ending, SurfaceEnding::Failed(_)), "{way:?} {transcript:#?}");
        drop(connection);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstream() {
    for way in Way::ALL {
        let upstream = Upstream::start([way.begun().wait(&Gate::new())]).await;
        let server = Server::start_on_disk(&one_model(&upstream, &way.upstream(""))).await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&way.surface.stream()).await;
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("\"b\"") {
            let Piece::Data(data) = answer.piece().await else { panic!("{way:?}") };
            seen.extend_from_slice(&data);
        }
        connection.reset();
        upstream.await_closed().await;
        let record = server.records().await.remove(0);
        assert_eq!((&*record.terminal, record.completion_tokens), ("client_gone", 2), "{way:?}");
    }
}

#[tokio::test]
async fn used_up_tokens_end_a_stream() {
    let limits = "limits: {total: {tokens_per_minute: 70}, stop_at_budget: true}\n";
    for way in Way::ALL {
        let (begin, _) = native(way.surface);
        let mut said = begin.into_iter().find(|event| event.to_string().contains("\"b\"")).unwrap();
        let endless = (3..83).fold(way.begun(), |script, number| {
            if way.surface == Responses {
                said["sequence_number"] = number.into();
            }
            if way.native { script.chunk(super::event(&said)) } else { script.frame(&text("b")) }
        });
        let upstream = Upstream::start([endless.wait(&Gate::new())]).await;
        let server = Server::start(&format!("{}{limits}", one_model(&upstream, &way.upstream("")))).await;
        let answer = server.ask(&way.surface.stream()).await;
        assert_eq!(answer.status, 200, "{way:?} {}", answer.text());
        assert!(answer.text().contains("tokens per minute of your API key are used up"), "{way:?}");
        assert!(matches!(way.surface.read(&answer).ending, SurfaceEnding::Failed(_)), "{way:?}");
        server.stop().await;
    }
}
