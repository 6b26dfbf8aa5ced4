//! Routing to the targets of a model: selection, failover, retries and ejection.

mod affinity;
mod balance;
mod budget;
mod ejection;
mod failover;
mod retry_after;
mod same_target;
mod scenarios;
mod stream_options;
mod target_names;

use serde_json::json;

use crate::server::Server;
use test_support::frames::{first, last, request, text};
use test_support::http::Request;
use test_support::soon;
use test_support::upstream::{Script, Upstream};

fn stream() -> Request {
    Request::chat(&request(&json!({"stream": true})))
}

/// A stream with the text `word`.
fn says(word: &str) -> Script {
    Script::sse([first(), text(word), last("stop"), "[DONE]".to_owned()])
}

/// A refusal with this status.
fn refuses(status: u16) -> Script {
    Script::json(status, "{}")
}

/// Targets that answer with the text `a`, `b`, … unless another script is queued.
async fn targets<const N: usize>() -> [Upstream; N] {
    let mut targets = Vec::new();
    for name in ["a", "b", "c"].into_iter().take(N) {
        let target = Upstream::start([]).await;
        target.answer_otherwise(says(name));
        targets.push(target);
    }
    targets.try_into().unwrap_or_else(|_| panic!("there are names for three"))
}

/// Requests a stream, which must succeed; returns its text, which names the target.
async fn answerer(server: &Server) -> String {
    let transcript = server.ask(&stream()).await.transcript();
    transcript.assert_contract(1, false);
    transcript.text(0)
}

/// The targets that answer so many requests in sequence.
async fn answerers(server: &Server, count: usize) -> String {
    let mut all = String::new();
    for _ in 0..count {
        all.push_str(&answerer(server).await);
    }
    all
}

/// The number of requests that each target got.
fn asked<const N: usize>(targets: &[&Upstream; N]) -> [usize; N] {
    targets.map(|target| target.requests().len())
}

/// Sends requests until `target` has got `count`; all must succeed. Returns the last answer.
async fn until_asked(server: &Server, target: &Upstream, count: usize) -> String {
    let ask = async {
        loop {
            let who = answerer(server).await;
            if target.requests().len() >= count {
                return who;
            }
        }
    };
    soon("a target to be asked again", ask).await
}
