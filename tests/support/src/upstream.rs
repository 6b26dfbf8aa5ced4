//! A scripted upstream over raw TCP: plays scripts, valid HTTP or not, and records the requests.

mod connection;
mod script;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bound_socket::{ANY_PORT, bound_socket};
use crate::soon;
use crate::tls::Authority;

use connection::Incoming;

pub use script::{Gate, Script};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The upstream. Dropping it fails the test if a request had no script, or if a script was not used.
pub struct Upstream {
    /// `host:port/v1`, or `unix:/PATH:/v1`.
    address: String,
    place: Place,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    authority: Option<Arc<Authority>>,
}

/// Where it listens.
enum Place {
    /// Keeps the port when the listener is closed.
    Port { _reserved: TcpSocket },
    /// The folder of the socket.
    Folder { _socket: TempDir },
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The number of its connection, counted from 1.
    pub connection: usize,
    /// Request line and headers.
    pub head: String,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
}

struct Shared {
    chat: Mutex<VecDeque<Script>>,
    /// The answer to chat completions when no other is left.
    otherwise: Mutex<Option<Script>>,
    models: Mutex<VecDeque<Script>>,
    requests: watch::Sender<Vec<Recorded>>,
    open: watch::Sender<usize>,
    accepted: watch::Sender<usize>,
    /// Idle connections: those that wait for another request.
    idle: watch::Sender<usize>,
    /// Changes when idle connections are to be closed.
    closing: watch::Sender<u64>,
    failures: Mutex<Vec<String>>,
}

impl Upstream {
    /// Starts it over plain HTTP, with an answer for each chat completion, in order.
    pub async fn start(answers: impl IntoIterator<Item = Script>) -> Self {
        Self::start_on_port(answers, None)
    }

    /// As [`Upstream::start`], over TLS.
    pub async fn start_tls(answers: impl IntoIterator<Item = Script>) -> Self {
        Self::start_on_port(answers, Some(Arc::new(Authority::new())))
    }

    /// As [`Upstream::start`], on a unix socket.
    pub async fn start_unix(answers: impl IntoIterator<Item = Script>) -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("llm.sock");
        let listener = Listener::Unix(UnixListener::bind(&socket).unwrap());
        let address = format!("unix:{}:/v1", socket.display());
        Self::start_on(answers, address, Place::Folder { _socket: folder }, listener, None)
    }

    fn start_on_port(answers: impl IntoIterator<Item = Script>, authority: Option<Arc<Authority>>) -> Self {
        let reserved = bound_socket(ANY_PORT);
        let address = reserved.local_addr().unwrap();
        let listener = Listener::Tcp(bound_socket(address).listen(BACKLOG).unwrap());
        Self::start_on(answers, format!("{address}/v1"), Place::Port { _reserved: reserved }, listener, authority)
    }

    fn start_on(
        answers: impl IntoIterator<Item = Script>,
        address: String,
        place: Place,
        listener: Listener,
        authority: Option<Arc<Authority>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            chat: Mutex::new(answers.into_iter().collect()),
            otherwise: Mutex::default(),
            models: Mutex::default(),
            requests: watch::Sender::default(),
            open: watch::Sender::default(),
            accepted: watch::Sender::default(),
            idle: watch::Sender::default(),
            closing: watch::Sender::default(),
            failures: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), authority.clone()));
        Self { address, place, shared, accepting, authority }
    }

    /// Adds an answer to the next chat completion without one.
    pub fn answer(&self, script: Script) {
        lock(&self.shared.chat).push_back(script);
    }

    /// Sets the answer to all chat completions for which no other answer is left.
    pub fn answer_otherwise(&self, script: Script) {
        *lock(&self.shared.otherwise) = Some(script);
    }

    /// Adds an answer to the next request for the list of models.
    pub fn answer_models(&self, script: Script) {
        lock(&self.shared.models).push_back(script);
    }

    /// For `base_url`.
    pub fn url(&self) -> String {
        match (&self.place, &self.authority) {
            (Place::Folder { .. }, _) => self.address.clone(),
            (Place::Port { .. }, None) => format!("http://{}", self.address),
            (Place::Port { .. }, Some(_)) => format!("https://{}", self.address),
        }
    }

    /// Its target name in logs and records, for the model `m`.
    pub fn name(&self) -> String {
        self.name_of("m")
    }

    /// Its target name in logs and records, for this upstream model; empty where clients choose the model.
    pub fn name_of(&self, model: &str) -> String {
        let mark = if model.is_empty() { "" } else { "#" };
        format!("{}{mark}{model}", self.address)
    }

    /// For `ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.authority.as_ref().expect("started with TLS").file()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.borrow().clone()
    }

    /// Waits for request number `count`, counted from 1.
    pub async fn request(&self, count: usize) -> Recorded {
        let mut requests = self.shared.requests.subscribe();
        let all = soon("a request at the upstream", requests.wait_for(|all| all.len() >= count)).await.unwrap();
        all[count - 1].clone()
    }

    /// Connections made so far.
    pub fn accepted(&self) -> usize {
        *self.shared.accepted.borrow()
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Waits until there has been a connection, and none is open.
    pub async fn await_closed(&self) {
        let mut accepted = self.shared.accepted.subscribe();
        soon("an upstream connection", accepted.wait_for(|accepted| *accepted > 0)).await.unwrap();
        let mut open = self.shared.open.subscribe();
        soon("upstream connections to close", open.wait_for(|open| *open == 0)).await.unwrap();
    }

    /// Waits until so many connections are idle.
    pub async fn await_idle(&self, count: usize) {
        let mut idle = self.shared.idle.subscribe();
        soon("idle upstream connections", idle.wait_for(|idle| *idle >= count)).await.unwrap();
    }

    /// Waits until a connection is idle, and closes all idle connections.
    pub async fn close_idle(&self) {
        let mut idle = self.shared.idle.subscribe();
        soon("an idle upstream connection", idle.wait_for(|idle| *idle > 0)).await.unwrap();
        self.shared.closing.send_modify(|generation| *generation += 1);
        soon("idle connections to close", idle.wait_for(|idle| *idle == 0)).await.unwrap();
    }

    /// Stops to listen; open connections stay open, and further ones are refused.
    pub async fn unlisten(&mut self) {
        self.accepting.abort();
        assert!((&mut self.accepting).await.unwrap_err().is_cancelled());
    }
}

impl Recorded {
    /// The first line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header. Panics where it occurs twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        let first = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        first
    }

    /// The names of all headers, in lower case, sorted.
    pub fn header_names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut names: Vec<String> = lines.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
        if std::thread::panicking() {
            return;
        }
        let failures = lock(&self.shared.failures);
        assert!(failures.is_empty(), "the upstream failed: {failures:?}");
        let left = lock(&self.shared.chat).len() + lock(&self.shared.models).len();
        assert_eq!(left, 0, "scripts that nobody asked for");
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>, authority: Option<Arc<Authority>>) {
    loop {
        let incoming = match &listener {
            Listener::Tcp(listener) => Incoming::Tcp(listener.accept().await.unwrap().0),
            Listener::Unix(listener) => Incoming::Unix(listener.accept().await.unwrap().0),
        };
        shared.open.send_modify(|open| *open += 1);
        shared.accepted.send_modify(|accepted| *accepted += 1);
        let number = *shared.accepted.borrow();
        tokio::spawn(attend(incoming, number, Arc::clone(&shared), authority.clone()));
    }
}

/// Serves one connection to its end.
async fn attend(incoming: Incoming, number: usize, shared: Arc<Shared>, authority: Option<Arc<Authority>>) {
    let serve = connection::serve(incoming, number, &shared, authority.as_deref());
    let failure = match AssertUnwindSafe(serve).catch_unwind().await {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_panic) => Some("a connection's task panicked".to_owned()),
    };
    lock(&shared.failures).extend(failure);
    // Last, so that a test that waits for it finds all other state updated.
    shared.open.send_modify(|open| *open -= 1);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
