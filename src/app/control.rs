//! The control socket: a Unix socket on which `petstream reload` asks the server to read its configuration again.
//!
//! One line of JSON asks (`{"command":"reload"}`), one line answers (a [`ReloadReport`]). Only the user of the server,
//! and root, are answered: the socket has mode 600, and the peer's user is checked too. The socket of a server that is still running is left alone, and taken over when that server has ended; a
//! file that a killed server left behind is replaced. At the stop it is removed, unless another server has it by then.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::reload::{ReloadReport, Reloader};
use super::unix_path::UnixPath;

/// Longest time for the line that asks, and for the client to take the answer.
const IO_TIMEOUT: Duration = Duration::from_secs(2);
/// Mode of the socket: only its owner connects.
const MODE: u32 = 0o600;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16;
/// Longest line that asks, bytes.
const MAX_LINE: u64 = 4 * 1024;
/// Most connections at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4;
/// Time between two attempts to open the socket, and after a failed accept.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum ControlRequest {
    /// Read the configuration again.
    Reload,
}

/// The socket; its file is removed by the drop.
struct Socket {
    listener: UnixListener,
    _path: UnixPath,
}

/// Serves the socket at `path` for as long as it is polled. A socket that can't be opened is logged, and tried again.
pub(super) async fn serve(path: PathBuf, reloader: Reloader) {
    let mut last_problem = String::new();
    loop {
        match Socket::open(&path) {
            Ok(socket) => socket.serve(&reloader).await,
            Err(error) => {
                let problem = error.to_string();
                if problem != last_problem {
                    let path = path.display();
                    tracing::warn!(%path, "control.socket can't be opened, and is tried again: {problem}");
                    last_problem = problem;
                }
            }
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

impl Socket {
    fn open(path: &Path) -> io::Result<Self> {
        let (listener, path) = UnixPath::bind(path, MODE, None, BACKLOG)?;
        Ok(Self { listener, _path: path })
    }

    /// Serves until the socket can't accept any more.
    async fn serve(&self, reloader: &Reloader) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(answer(stream, reloader.clone()))),
                    Err(error) => return tracing::warn!(%error, "control.socket"),
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }
}

/// Answers one connection. A client that breaks it is no error.
async fn answer(mut stream: UnixStream, reloader: Reloader) {
    let owner = nix::unistd::geteuid().as_raw();
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0) {
        tracing::warn!("control.socket: another user of this machine was refused");
        return;
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new((&mut stream).take(MAX_LINE));
    let read = timeout(IO_TIMEOUT, reader.read_until(b'\n', &mut line)).await;
    if !matches!(read, Ok(Ok(_))) || !line.ends_with(b"\n") {
        return;
    }
    let report = match serde_json::from_slice(&line) {
        Ok(ControlRequest::Reload) => reloader.reload("petstream reload").await,
        Err(_) => ReloadReport { errors: vec!["an unknown command".to_owned()], ..ReloadReport::default() },
    };
    let mut text = serde_json::to_vec(&report).unwrap_or_default();
    text.push(b'\n');
    let _ = timeout(IO_TIMEOUT, stream.write_all(&text)).await;
}
