//! Questions to the local model: streaming and not, read to the end or left.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::fixture::SHOP;
use test_support::http::{Connection, Piece, Request};
use test_support::random::Random;
use test_support::storm::records::Row;

/// The name of the local model.
pub(crate) const MODEL: &str = "petstore-ai";
/// Questions per round.
const QUESTIONS: usize = 40;

/// A question, with what its client observed.
#[derive(Debug)]
pub(crate) struct Spoken {
    request_id: String,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A complete answer, with its prompt and completion tokens.
    Usage(u64, u64),
    /// The client left.
    Left,
    /// Refused by a limit.
    Limited,
}

impl Spoken {
    pub(crate) fn is_limited(&self) -> bool {
        self.told == Told::Limited
    }
}

/// Sends questions in sequence.
pub(crate) async fn talk(server: SocketAddr, mut random: Random) -> Vec<Spoken> {
    let mut spoken = Vec::new();
    for _ in 0..QUESTIONS {
        let leaves = random.percent(30).then(|| random.below(6));
        spoken.push(ask(server, SHOP, random.percent(60), leaves).await);
    }
    spoken
}

/// Sends one question; with `leaves`, disconnects from the stream after that many pieces.
pub(crate) async fn ask(server: SocketAddr, key: &str, streamed: bool, leaves: Option<usize>) -> Spoken {
    let mut body = json!({
        "model": MODEL, "stream": streamed, "messages": [{"role": "user", "content": "Which dogs are available?"}],
    });
    if streamed {
        body["stream_options"] = json!({"include_usage": true});
    }
    let mut connection = Connection::open(server).await;
    let mut answer = connection.ask(&Request::chat(&body).bearer(key)).await;
    let request_id = answer.header("x-request-id").expect("a request id").to_owned();
    let told = match answer.status() {
        429 => {
            let limited = String::from_utf8(answer.body().await).unwrap();
            assert!(limited.contains("rate_limit_exceeded"), "{limited}");
            Told::Limited
        }
        200 => {
            let mut bytes = Vec::new();
            let mut pieces = 0;
            loop {
                if leaves.is_some_and(|leaves| streamed && pieces >= leaves) {
                    break Told::Left;
                }
                match answer.piece().await {
                    Piece::Data(data) => bytes.extend_from_slice(&data),
                    Piece::End => break usage(&bytes, streamed),
                    Piece::Cut => panic!("cut after {:?}", String::from_utf8_lossy(&bytes)),
                }
                pieces += 1;
            }
        }
        status => panic!("{status}: {}", String::from_utf8_lossy(&answer.body().await)),
    };
    Spoken { request_id, told }
}

/// The usage in a complete answer.
fn usage(bytes: &[u8], streamed: bool) -> Told {
    let text = std::str::from_utf8(bytes).unwrap();
    let json = if streamed {
        let frames = text.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("no end: {text}"));
        frames.trim_end().rsplit("\n\n").next().and_then(|frame| frame.strip_prefix("data: ")).unwrap()
    } else {
        text
    };
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    let count = |name: &str| value["usage"][name].as_u64().unwrap_or_else(|| panic!("no usage: {value}"));
    Told::Usage(count("prompt_tokens"), count("completion_tokens"))
}

/// The violations in the records of these questions.
pub(crate) fn check(spoken: &[Spoken], rows: &[Row]) -> Vec<String> {
    let mut rest: Vec<&Row> = rows.iter().collect();
    let mut found = Vec::new();
    for one in spoken {
        let at = rest.iter().position(|row| row.request_id.as_deref() == Some(&one.request_id));
        let row = at.map(|at| rest.swap_remove(at));
        let right = match (one.told, row) {
            (Told::Limited, row) => row.is_none(),
            (_, None) => false,
            (Told::Usage(prompt, completion), Some(row)) => {
                (&*row.terminal, row.source.as_deref(), row.prompt, row.completion)
                    == ("completed", Some("exact"), prompt, completion)
            }
            // The answer may have ended before the client left.
            (Told::Left, Some(row)) => matches!(&*row.terminal, "client_gone" | "completed"),
        };
        if !right {
            found.push(format!("{one:?}, recorded is {row:?}"));
        }
    }
    found.extend(rest.into_iter().map(|row| format!("a usage record without a request: {row:?}")));
    found
}
