//! The log when its pipe is full: neither requests nor the stop wait for it, and dropped lines are reported.

use std::net::SocketAddr;
use std::process::ExitStatus;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};

use test_support::http::{Connection, Request};
use test_support::program::{Folder, LISTENING, executable};
use test_support::soon;

/// Length of a path that is logged completely, bytes.
const LONG: usize = 1_000;
/// Requests whose log lines are twice what the buffer (1 MiB) and the pipe (64 KiB) hold.
const MANY: usize = 2_000;

/// A server whose log is read on demand.
struct Unread {
    address: SocketAddr,
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Unread {
    async fn start(folder: &Folder) -> Self {
        let mut child =
            folder.command(&executable()).args(["--listen", "127.0.0.1:0", "--log-format", "json"]).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = next(&mut log).await.expect("it listens");
            if let Some(address) = line["message"].as_str().and_then(|message| message.strip_prefix(LISTENING)) {
                break address.parse().unwrap();
            }
        };
        Self { address, child, log }
    }

    /// Requests this many long unknown paths, each with its number.
    async fn ask(&self, count: usize) {
        let mut connection = Connection::open(self.address).await;
        for number in 0..count {
            let request = Request::new("GET", &format!("/{number}/{}", "x".repeat(LONG)));
            assert_eq!(connection.ask(&request).await.whole().await.status, 404);
        }
    }

    async fn terminate(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().await.unwrap().success());
    }

    async fn ended(&mut self) -> ExitStatus {
        soon("the server to end", self.child.wait()).await.unwrap()
    }
}

/// The next line; none at the end.
async fn next(log: &mut Lines<BufReader<ChildStderr>>) -> Option<Value> {
    let line = soon("a line of the log", log.next_line()).await.unwrap()?;
    Some(serde_json::from_str(&line).unwrap())
}

/// The number of the path in a log line.
fn number(line: &Value) -> Option<u64> {
    line["path"].as_str()?.split('/').nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_full_log_pipe_blocks_no_request_and_dropped_lines_are_reported() {
    let folder = Folder::new();
    let mut server = Unread::start(&folder).await;
    server.ask(MANY).await;
    let mut numbers = Vec::new();
    let lost = loop {
        let line = next(&mut server.log).await.expect("it goes on");
        numbers.extend(number(&line));
        if line["target"] == "petstream::telemetry::log" {
            assert_eq!(line["level"], "WARN");
            break line["lines"].as_u64().unwrap();
        }
    };
    assert!(numbers.is_sorted() && lost > 0, "{numbers:?}, {lost} lost");
    assert_eq!(numbers.len() as u64 + lost, MANY as u64);

    // The log continues, and ends without a gap.
    server.ask(3).await;
    server.terminate().await;
    let mut rest = Vec::new();
    while let Some(line) = next(&mut server.log).await {
        rest.push(line);
    }
    assert_eq!(rest.iter().filter_map(number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(rest.last().unwrap()["target"], "petstream::cli::serve", "{rest:?}");
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_stop_does_not_wait_for_a_full_log_pipe() {
    let folder = Folder::new();
    let mut server = Unread::start(&folder).await;
    // More than the pipe holds.
    server.ask(MANY / 10).await;
    server.terminate().await;
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_failed_start_creates_no_key() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new();
    // As much as a pipe holds.
    let script = format!("head -c 65536 /dev/zero >&2; exec \"$0\" --listen {address}");
    let mut child = folder.command("sh").args(["-c", &script, &executable()]).spawn().unwrap();
    let status = soon("the server to end", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(1));
}
