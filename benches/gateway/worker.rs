//! Worker processes: this program started again in another role. Both sides of the protocol between them are here,
//! which is lines over the worker's stdin and stdout.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::result::{Failure, Result};

/// The role of a worker. The first argument of the program selects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The upstream; the second argument is its dialect.
    Upstream,
    /// The clients of completions; their plan comes on stdin.
    Clients,
    /// The subscribers of live events; their plan comes on stdin.
    Subscribers,
    /// The clients that send commands; their plan comes on stdin.
    Writers,
}

impl Role {
    const fn argument(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Clients => "clients",
            Self::Subscribers => "subscribers",
            Self::Writers => "writers",
        }
    }

    pub(crate) fn from_argument(argument: &str) -> Option<Self> {
        let all = [Self::Upstream, Self::Clients, Self::Subscribers, Self::Writers];
        all.into_iter().find(|role| role.argument() == argument)
    }
}

/// The parent's handle of a worker. Dropping it kills the process.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(role: Role, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(role.argument()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or("no pipes")?;
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// Starts the upstream and returns its address.
    pub(crate) fn start_upstream(dialect: &str) -> Result<(Self, String)> {
        let mut upstream = Self::start(Role::Upstream, &[dialect])?;
        let address = upstream.read_line()?;
        Ok((upstream, address))
    }

    /// Starts clients with their plan, and waits until they are ready for the measurement.
    pub(crate) fn start_clients(role: Role, plan: &impl Serialize) -> Result<Self> {
        let mut clients = Self::start(role, &[])?;
        // Not as an argument: a plan with many keys exceeds the limit for arguments.
        writeln!(clients.input, "{}", serde_json::to_string(plan)?)?;
        clients.expect_line("ready")?;
        Ok(clients)
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(Failure::from("the clients, or the upstream, failed")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Reads a line, which must be `word`.
    pub(crate) fn expect_line(&mut self, word: &str) -> Result<()> {
        let line = self.read_line()?;
        if line == word { Ok(()) } else { Err(format!("{word} expected, not {line}").into()) }
    }

    /// Lets clients that are ready begin.
    pub(crate) fn begin(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"go\n")?)
    }

    /// Waits for the result of clients.
    pub(crate) fn read_result<T: DeserializeOwned>(&mut self) -> Result<T> {
        Ok(serde_json::from_str(&self.read_line()?)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The runtime of a worker: a single thread, which leaves the machine's other cores to the gateway.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Writes a line to stdout and flushes it.
pub(crate) fn write_line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// In clients: reads the plan, which is the first line of stdin.
pub(crate) fn read_plan<T: DeserializeOwned>() -> Result<T> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// In clients: announces `ready`, and blocks until the parent lets the measurement begin.
pub(crate) fn await_start() -> Result<()> {
    write_line("ready")?;
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line)? {
        0 => Err("the benchmark has ended".into()),
        _ => Ok(()),
    }
}
