//! The executable as a child process, in a temporary working folder.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{self, Request, Whole};
use crate::soon;
use crate::test_database::TestDatabase;

/// The beginning of the log message that names the address of the listener.
pub const LISTENING: &str = "listening on http://";

/// The path of petstream's executable. Cargo builds it for integration tests and passes its path to them.
pub fn executable() -> String {
    std::env::var("CARGO_BIN_EXE_petstream").expect("an integration test of petstream that runs under `cargo test`")
}

/// A working folder.
pub struct Folder(TempDir);

/// The result of a program that has ended.
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A running server. Dropping it kills the process.
pub struct Program {
    /// The address of its listener.
    pub address: SocketAddr,
    child: Child,
    printed: watch::Receiver<String>,
    /// Lines on stderr that are not JSON, such as those of a panic.
    strange: JoinHandle<Vec<String>>,
}

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A folder with this `petstream.yaml`.
    pub fn with(yaml: &str) -> Self {
        let folder = Self::new();
        std::fs::write(folder.path().join("petstream.yaml"), yaml).unwrap();
        folder
    }

    /// As [`Folder::with`], with a database of the kind that the environment chooses.
    pub async fn with_database(yaml: &str) -> (Self, TestDatabase) {
        let folder = Self::new();
        let database = TestDatabase::create(folder.path()).await;
        folder.configure(yaml, &database);
        (folder, database)
    }

    /// A folder of another server on the same database.
    pub fn on(database: &TestDatabase, yaml: &str) -> Self {
        let folder = Self::new();
        folder.configure(yaml, database);
        folder
    }

    fn configure(&self, yaml: &str, database: &TestDatabase) {
        let yaml = format!("{yaml}database: '{}'\n{}", database.url(), database.shared());
        std::fs::write(self.path().join("petstream.yaml"), yaml).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The URL of the database that a server in this folder uses by default.
    pub fn database(&self) -> String {
        format!("sqlite:{}", self.path().join("petstream.db").display())
    }

    /// A command for `program` in this folder, with an empty environment except for PATH.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs the executable to its end.
    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        let output = soon("the program to end", self.command(&executable()).args(arguments).output()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a server on a free port. It accepts connections when this returns.
    pub async fn start(&self) -> Program {
        self.start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// As [`Folder::start`], on this address.
    pub async fn start_on(&self, address: SocketAddr) -> Program {
        let address = address.to_string();
        Program::started(self.command(&executable()).args(["--listen", &address, "--log-format", "json"])).await
    }

    /// As [`Folder::start`], with more arguments.
    pub async fn start_with(&self, arguments: &[&str]) -> Program {
        let mut command = self.command(&executable());
        Program::started(command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]).args(arguments)).await
    }

    /// As [`Folder::start_with`], with a system clock that is ahead by so many seconds. The monotonic clock is as it is.
    /// Needs Debian's libfaketime.
    pub async fn start_ahead(&self, seconds: i64, arguments: &[&str]) -> Program {
        let mut command = self.command(&executable());
        // The loader replaces `$LIB` by the system's folder of libraries.
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1").env("FAKETIME", format!("{seconds:+}"));
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
        Program::started(command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]).args(arguments)).await
    }

    /// As [`Folder::start`], after running this line in the shell.
    pub async fn start_after(&self, line: &str) -> Program {
        let script = format!("{line}; exec \"$0\" --listen 127.0.0.1:0 --log-format json");
        Program::started(self.command("sh").args(["-c", &script, &executable()])).await
    }
}

/// A free port outside of the range that the system assigns, so that it stays free while a server is restarted.
pub fn quiet_port() -> SocketAddr {
    let first = 10_000 + u16::try_from(std::process::id() % 15_000).unwrap();
    let mut ports = (first..).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    ports.find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

impl Program {
    async fn started(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (printing, printed) = watch::channel(String::new());
        tokio::spawn(collect(child.stdout.take().unwrap(), printing));
        let (found, mut address) = watch::channel(None);
        let strange = tokio::spawn(read_log(child.stderr.take().unwrap(), found));
        let address = match soon("the server to listen", address.wait_for(Option::is_some)).await {
            Ok(address) => address.unwrap(),
            Err(_ended) => panic!("it ended with {:?}: {:?}", child.wait().await, strange.await),
        };
        Self { address, child, printed, strange }
    }

    /// Sends a request on a new connection, and reads the whole answer.
    pub async fn ask(&self, request: &Request) -> Whole {
        http::ask(self.address, request).await
    }

    /// Its output on stdout, as soon as `enough` accepts it.
    pub async fn printed(&self, enough: impl FnMut(&String) -> bool) -> String {
        let mut printed = self.printed.clone();
        soon("the server to print it", printed.wait_for(enough)).await.unwrap().clone()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it is running")
    }

    /// Sends it a signal, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Whether it ignores SIGHUP.
    #[cfg(target_os = "linux")]
    pub fn ignores_hup(&self) -> bool {
        let id = self.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & 1 != 0
    }

    /// Kills it with SIGKILL.
    pub async fn kill(mut self) {
        self.child.start_kill().unwrap();
        soon("the killed server to be gone", self.child.wait()).await.unwrap();
        // The last line may be incomplete.
        let strange = soon("the end of its log", self.strange).await.unwrap();
        assert!(!strange.iter().any(|line| line.contains("panicked")), "{strange:?}");
    }

    /// Waits for its end. Returns its exit status and its output on stdout.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = soon("the server to end", self.child.wait()).await.unwrap();
        let strange = soon("the end of its log", self.strange).await.unwrap();
        assert!(strange.is_empty(), "no lines of a log: {strange:?}");
        let closed = async { while self.printed.changed().await.is_ok() {} };
        soon("the end of its output", closed).await;
        let printed = self.printed.borrow().clone();
        (status, printed)
    }

    /// Stops it with SIGTERM. Returns its output on stdout.
    pub async fn stop(self) -> String {
        self.signal("TERM").await;
        let (status, printed) = self.ended().await;
        assert_eq!(status.code(), Some(0));
        printed
    }
}

async fn collect(mut from: impl AsyncRead + Unpin, into: watch::Sender<String>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        into.send_modify(|text| text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()));
    }
}

/// Reads a log to its end, finds the address of the listener, and returns lines that are not JSON.
async fn read_log(log: impl AsyncRead + Unpin, found: watch::Sender<Option<SocketAddr>>) -> Vec<String> {
    let mut strange = Vec::new();
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(entry) = serde_json::from_str::<Value>(&line) else {
            strange.push(line);
            continue;
        };
        let message = entry["message"].as_str().unwrap_or_default();
        if let Some(address) = message.strip_prefix(LISTENING) {
            found.send_replace(Some(address.parse().unwrap()));
        }
    }
    strange
}
