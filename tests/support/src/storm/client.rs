//! One client, which sends a request and follows its plan.

use std::net::SocketAddr;

use serde_json::Value;

use crate::http::{Answer, Connection, Piece, Request};
use crate::storm::attempts::{AttemptLog, brief};
use crate::storm::plan::{Behaviour, Plan};
use crate::storm::transcript::{Ending, Transcript, code};

/// The receive buffer of a client that stalls, bytes.
const NARROW: u32 = 4 << 10;
/// The receive buffer of a client that pauses, bytes. Segments on loopback have up to 64 KiB; one that exceeds the
/// window is sent in small pieces, five times a second, which would measure the kernel.
const MODEST: u32 = 256 << 10;

/// Chunks of a flood after which the server waits for its client, or soon will.
const ENOUGH: usize = 150;

/// The result at a client.
#[derive(Clone, Debug)]
pub struct Observed {
    /// None where there was no head.
    pub request_id: Option<String>,
    /// None where there was no head.
    pub status: Option<u16>,
    /// The chunks of a stream, or the body of a whole answer, brief.
    pub chunks: Vec<String>,
    pub ending: Ending,
}

/// Sends the request of `plan` on a new connection.
pub async fn run(server: SocketAddr, plan: &Plan, attempt_log: &AttemptLog) -> Observed {
    let mut connection = match plan.client {
        Behaviour::Stall => Connection::open_narrow(server, NARROW).await,
        Behaviour::Pause => Connection::open_narrow(server, MODEST).await,
        _ => Connection::open(server).await,
    };
    connection.send(&request(plan)).await;
    if let Behaviour::LeaveBeforeHead { reset } = plan.client {
        let has_it = attempt_log.wait_for(plan.id, "an upstream to get the request", |attempts| !attempts.is_empty());
        tokio::select! {
            () = has_it => {
                leave(connection, reset);
                return Observed { request_id: None, status: None, chunks: Vec::new(), ending: Ending::Left };
            }
            answer = connection.answer() => return read(answer, plan, attempt_log).await,
        }
    }
    let observed = read(connection.answer().await, plan, attempt_log).await;
    if let (Behaviour::LeaveAfter { reset, .. }, Ending::Left) = (plan.client, &observed.ending) {
        leave(connection, reset);
    }
    observed
}

/// The request of a plan.
pub fn request(plan: &Plan) -> Request {
    Request::chat(&plan.body()).bearer(plan.key.secret())
}

fn leave(connection: Connection, reset: bool) {
    if reset { connection.reset() } else { drop(connection) }
}

async fn read(mut answer: Answer<'_>, plan: &Plan, attempt_log: &AttemptLog) -> Observed {
    let request_id = answer.header("x-request-id").map(str::to_owned);
    let status = answer.status();
    let observed = |chunks, ending| Observed { request_id, status: Some(status), chunks, ending };
    if answer.header("content-type") == Some("text/event-stream; charset=utf-8") {
        let (transcript, whole) = stream(&mut answer, plan, attempt_log).await;
        let ending = match whole {
            Some(whole) => transcript.ending(whole),
            None => transcript.left(),
        };
        return observed(transcript.chunks, ending);
    }
    let (body, whole) = answer.rest().await;
    if !whole {
        return observed(Vec::new(), Ending::Cut);
    }
    let (chunks, ending) = whole_answer(status, &body, plan);
    observed(chunks, ending)
}

/// Reads a stream. The flag: whether its body was complete; none where the client left.
async fn stream(answer: &mut Answer<'_>, plan: &Plan, attempt_log: &AttemptLog) -> (Transcript, Option<bool>) {
    let mut transcript = Transcript::default();
    match plan.client {
        Behaviour::Pause => {
            let held = attempt_log.wait_for(plan.id, "the upstream to be held back", |attempts| {
                attempts.iter().any(|attempt| attempt.held_back || attempt.over || attempt.frames.len() > ENOUGH)
            });
            held.await;
        }
        Behaviour::Stall => {
            attempt_log
                .wait_for(plan.id, "the upstream to be freed", |attempts| attempts.iter().any(|attempt| attempt.over))
                .await;
        }
        _ => {}
    }
    loop {
        if let Behaviour::LeaveAfter { chunks, .. } = plan.client
            && transcript.chunks.len() >= chunks
        {
            return (transcript, None);
        }
        match answer.piece().await {
            Piece::Data(bytes) => transcript.push(&bytes),
            Piece::End => return (transcript, Some(true)),
            Piece::Cut => return (transcript, Some(false)),
        }
    }
}

/// The ending of a non-streaming answer.
fn whole_answer(status: u16, body: &[u8], plan: &Plan) -> (Vec<String>, Ending) {
    let broken = |what: &str| (Vec::new(), Ending::Broken(format!("{what}: {}", String::from_utf8_lossy(body))));
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return broken("not JSON") };
    if status == 200 {
        if plan.streamed || value.get("choices").is_none() {
            return broken("not what was asked for");
        }
        return (vec![brief(&String::from_utf8_lossy(body))], Ending::Complete);
    }
    match value.get("error").map(code) {
        Some(Ok(code)) => (Vec::new(), Ending::Failed(code)),
        _ => broken("a status without an envelope"),
    }
}
