//! A gateway that nobody uses: the time until it answers, and its memory before and after a question to the local model.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde::Serialize;

use crate::gateways::{Gateway, Kind};
use crate::procfs::memory;
use crate::result::Result;

/// The name of the workload.
pub(crate) const NAME: &str = "rest";
/// Wait after the answer, until memory that only it takes is free again.
const SETTLE_TIME: Duration = Duration::from_secs(1);

const QUESTION: &str = r#"{"model":"petstore-ai","messages":[{"role":"user","content":"How many dogs do you have?"}]}"#;

/// The result of one measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// From the start of the program to its first answer, ms.
    pub(crate) ready: f64,
    /// Memory at rest, MiB.
    pub(crate) memory: f64,
    /// The first question to the local model, where there is one.
    pub(crate) question: Option<Question>,
    /// Size of the program, MiB.
    pub(crate) program: f64,
}

/// The first question to the local model.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Question {
    /// From the request to the end of its answer, ms.
    pub(crate) time: f64,
    /// Memory afterwards, MiB.
    pub(crate) memory: f64,
}

pub(crate) fn measure(kind: &Kind, upstream: &str, keys: &[String]) -> Result<Measurement> {
    let program = kind.program().ok_or("there is no program")?;
    let program = fs::metadata(program)?.len() as f64 / f64::from(1 << 20);
    let gateway = kind.start(upstream, keys, None)?;
    let at_rest = mebibytes(&gateway)?;
    let question = if kind.has_local_model() { Some(ask(&gateway, &keys[0])?) } else { None };
    Ok(Measurement { ready: milliseconds(gateway.ready), memory: at_rest, question, program })
}

fn ask(gateway: &Gateway, key: &str) -> Result<Question> {
    let began = Instant::now();
    let mut socket = TcpStream::connect(&gateway.address)?;
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: petstream\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{QUESTION}",
        QUESTION.len()
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let time = milliseconds(began.elapsed());
    if !answer.starts_with("HTTP/1.1 200 ") {
        return Err(format!("the question is answered by {answer}").into());
    }
    thread::sleep(SETTLE_TIME);
    Ok(Question { time, memory: mebibytes(gateway)? })
}

fn mebibytes(gateway: &Gateway) -> Result<f64> {
    Ok(memory(&gateway.processes())? as f64 / 1024.0)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
