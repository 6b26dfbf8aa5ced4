//! `petstream reload`: asks the running server to read its configuration again.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use petstream::app::{ControlRequest, ReloadReport};
use petstream::config::{Sources, load_control_socket};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::failure::{Failure, fault};
use super::output::{note, print};
use super::runtime::block_on;

/// Longest wait for the server.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read, bytes: the errors of a file of 1 MiB.
const MAX_ANSWER: u64 = 64 << 20;

pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let path = load_control_socket(sources).map_err(Failure::Configuration)?.ok_or_else(|| {
        let problem = "the server has no control socket; set control.socket, or send it SIGHUP";
        Failure::Usage(problem.to_owned())
    })?;
    let path = sources.folder.join(path);
    let ReloadReport { errors, warnings, needs_restart } = block_on(async {
        let asked = timeout(TIMEOUT, ask(&path)).await;
        asked.map_err(|_elapsed| fault("the server does not answer; its log has the result"))?
    })?;
    if !errors.is_empty() {
        return Err(Failure::Rejected(errors));
    }
    for warning in &warnings {
        note(&format!("warning: {warning}"));
    }
    print("OK\n")?;
    if needs_restart.is_empty() { Ok(()) } else { print(&format!("needs a restart: {}\n", needs_restart.join(", "))) }
}

async fn ask(path: &Path) -> Result<ReloadReport, Failure> {
    let mut stream = UnixStream::connect(path).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            fault(format!("no server listens at {}: is one running with this configuration?", path.display()))
        }
        _ => fault(format!("{}: {error}", path.display())),
    })?;
    let mut line = serde_json::to_vec(&ControlRequest::Reload).map_err(fault)?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(fault)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_until(b'\n', &mut answer).await.map_err(fault)?;
    serde_json::from_slice(&answer).map_err(|_| fault("the server gave no answer; its log has the reason"))
}
