//! Upstreams that fail in the middle of a stream: the client gets what was received, one error frame and `[DONE]`.

mod deadlines;
mod endings;

use serde_json::{Value, json};

use crate::server::Server;
use test_support::completion_stream::{self, Ending, Transcript};
use test_support::config::one_model;
use test_support::frames::{first, frame, request};
use test_support::http::{Connection, Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

fn stream() -> Request {
    Request::chat(&request(&json!({"stream": true})))
}

/// A server that admits one stream at a time; `more` are settings for the upstream's entry, `limits` for the limits.
async fn one_at_a_time(upstream: &Upstream, more: &str, limits: &str) -> Server {
    let yaml = one_model(upstream, more);
    Server::start(&format!("{yaml}limits: {{total: {{concurrent_streams: 1}}, {limits}}}\n")).await
}

/// The transcript of a stream whose upstream failed.
struct Failed {
    transcript: Transcript,
    text: String,
}

impl Failed {
    /// Checks that the stream is `received` followed by one error; returns the error object.
    #[track_caller]
    fn assert(&self, received: &[String], code: &str) -> &Value {
        let Ending::Failed(error) = &self.transcript.ending else { panic!("no failure: {:#?}", self.transcript) };
        assert_eq!(error["code"], code, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty() && !error["type"].as_str().unwrap().is_empty());
        let expected: String = received.iter().map(|data| frame(data)).collect();
        let rest = self.text.strip_prefix(&expected).unwrap_or_else(|| panic!("not what was sent: {}", self.text));
        assert_eq!(rest, format!("data: {{\"error\":{error}}}\n\ndata: [DONE]\n\n"), "one error frame, then the end");
        error
    }
}

/// Streams from an upstream that sends `first()` and, once the client has it, plays `rest`. Afterwards its connection
/// must be closed and the permit free.
async fn fails(rest: impl FnOnce(Script) -> Script, more: &str, limits: &str) -> Failed {
    let gate = Gate::new();
    let script = rest(Script::stream().frame(&first()).wait(&gate));
    let upstream = Upstream::start([script]).await;
    let server = one_at_a_time(&upstream, more, limits).await;
    let mut connection = server.connect().await;
    let body = read(&mut connection, &gate).await;
    let transcript = completion_stream::read(body.as_bytes());
    upstream.await_closed().await;
    let local = Request::chat(&request(&json!({"stream": true, "model": "petstore-ai"})));
    // On the same connection: a failed stream ends its body cleanly.
    assert_eq!(connection.ask(&local).await.whole().await.status, 200, "the place is free");
    drop(connection);
    server.stop().await;
    Failed { transcript, text: body }
}

/// Reads a whole stream. Opens `gate`, on which the upstream waits, after the first piece.
async fn read(connection: &mut Connection, gate: &Gate) -> String {
    let mut answer = connection.ask(&stream()).await;
    assert_eq!(answer.status(), 200);
    let Piece::Data(begin) = answer.piece().await else { panic!("a first piece") };
    gate.open();
    let mut body = begin.to_vec();
    body.extend(answer.body().await);
    String::from_utf8(body).unwrap()
}
