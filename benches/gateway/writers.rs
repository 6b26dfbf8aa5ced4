//! The clients that send commands, in a process of their own.
//!
//! Prints `ready` when connections are open and warm, waits for a line, sends commands, and prints the result as a line
//! of JSON.

use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use crate::clock::now;
use crate::http::Connection;
use crate::result::Result;
use crate::samples::{Percentiles, Samples};
use crate::worker::{await_start, read_plan, runtime, write_line};
use crate::workload::CommandWorkload;

/// What a body has in place of a number: each command changes something.
pub(crate) const NOTE: &str = "{note}";
/// Longest measurement.
const MAX_TIME: Duration = Duration::from_secs(120);

/// The instructions, read from stdin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The servers, which writers take in turn.
    pub(crate) addresses: Vec<String>,
    /// Header lines of every request, each with its line end.
    pub(crate) headers: String,
    /// Method and path.
    pub(crate) command: String,
    /// The body, with [`NOTE`] in place of a number.
    pub(crate) body: String,
    pub(crate) workload: CommandWorkload,
}

/// The result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Commands {
    pub(crate) done: usize,
    pub(crate) seconds: f64,
    /// From a command to the end of its answer.
    pub(crate) time: Percentiles,
}

/// A client with its connection.
struct Writer {
    plan: Rc<Plan>,
    number: usize,
    connection: Connection,
}

pub(crate) fn run() -> Result<()> {
    let plan: Plan = read_plan()?;
    LocalSet::new().block_on(&runtime()?, async {
        timeout(MAX_TIME, measure(plan)).await.map_err(|_| format!("not done after {MAX_TIME:?}"))?
    })
}

async fn measure(plan: Plan) -> Result<()> {
    let plan = Rc::new(plan);
    let mut writers = Vec::new();
    for number in 0..plan.workload.writers {
        let mut writer = Writer::open(&plan, number).await?;
        // The first command of a server opens its connections to the database.
        writer.command(plan.workload.commands).await?;
        writers.push(writer);
    }
    await_start()?;
    let began = now();
    let mut writing = JoinSet::new();
    writers.into_iter().for_each(|writer| drop(writing.spawn_local(writer.write())));
    let mut times = Samples::default();
    while let Some(written) = writing.join_next().await {
        times.extend(written??);
    }
    let (seconds, time) = ((now() - began) as f64 / 1e9, times.percentiles());
    write_line(&serde_json::to_string(&Commands { done: time.count, seconds, time })?)
}

impl Writer {
    async fn open(plan: &Rc<Plan>, number: usize) -> Result<Self> {
        let connection = Connection::open(&plan.addresses[number % plan.addresses.len()], None).await?;
        Ok(Self { plan: Rc::clone(plan), number, connection })
    }

    /// Sends all commands, and returns how long each took.
    async fn write(mut self) -> Result<Samples> {
        let mut times = Samples::default();
        for index in 0..self.plan.workload.commands {
            let asked = now();
            self.command(index).await?;
            times.push(asked, now());
        }
        Ok(times)
    }

    async fn command(&mut self, index: usize) -> Result<()> {
        let Plan { command, headers, body, .. } = &*self.plan;
        let body = body.replace(NOTE, &format!("{} by {}", index, self.number));
        let length = body.len();
        let request =
            format!("{command} HTTP/1.1\r\nhost: petstream\r\n{headers}content-length: {length}\r\n\r\n{body}");
        let status = self.connection.ask(request.as_bytes()).await?;
        let answer = self.connection.whole().await?;
        if status != 200 {
            return Err(format!("status {status} for a command: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(())
    }
}
