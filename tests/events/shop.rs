//! A server with a lasting database that can be restarted, or several on one database behind a balancer where the
//! environment says so ([`TestDatabase`]), and the event log, read and written by the test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use petstream::app::{InheritedSockets, Running, start};
use petstream::config::{Environment, Flags, Sources, load};
use petstream::store::Store;
use petstream::store::event_log::{EventLog, LoggedEvent};
use petstream::wire::event::Topics;
use serde_json::{Value, json};
use tempfile::TempDir;

use test_support::event_stream::{Greeting, Stream, get};
use test_support::http::{self, Request, Whole};
use test_support::round_robin::RoundRobin;
use test_support::soon;
use test_support::test_database::TestDatabase;

/// A configuration without keys.
pub(crate) const OPEN: &str = "auth: none\n";

pub(crate) struct Shop {
    /// Of several servers, the balancer's.
    pub(crate) address: SocketAddr,
    pub(crate) log: EventLog,
    pub(crate) store: Store,
    running: Vec<Running>,
    /// In front of several servers.
    _balancer: Option<RoundRobin>,
    yaml: String,
    /// The number of servers.
    count: usize,
    database: TestDatabase,
    folder: TempDir,
    names: AtomicU64,
}

impl Shop {
    pub(crate) async fn open(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let database = TestDatabase::create(folder.path()).await;
        let count = database.replicas();
        Self::open_in(yaml, folder, (database, count)).await
    }

    /// One server, also where the environment chooses several: its test is about something that each server has for
    /// itself, such as a bound, a limit of this process or its statistics.
    pub(crate) async fn open_alone(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let database = TestDatabase::create(folder.path()).await;
        Self::open_in(yaml, folder, (database, 1)).await
    }

    /// On SQLite also where the environment chooses another database: its test is about SQLite's files or statements.
    pub(crate) async fn open_on_sqlite(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let database = TestDatabase::sqlite(folder.path());
        Self::open_in(yaml, folder, (database, 1)).await
    }

    async fn open_in(yaml: &str, folder: TempDir, (database, count): (TestDatabase, usize)) -> Self {
        let (running, balancer) = boot(yaml, &folder, &database, count).await;
        let store = Store::open(database.url()).await.unwrap();
        let log = EventLog::new(store.clone());
        let (address, names, yaml) = (entry(&running, balancer.as_ref()), AtomicU64::new(0), yaml.to_owned());
        Self { address, log, store, running, _balancer: balancer, yaml, count, database, folder, names }
    }

    /// Begins to stop; streams end later.
    pub(crate) fn stop(&self) {
        self.running.iter().for_each(Running::stop);
    }

    /// Stops, and starts again over the same database, on another port.
    pub(crate) async fn restart(self) -> Self {
        let yaml = self.yaml.clone();
        self.restart_with(yaml).await
    }

    /// As [`Self::restart`], with another configuration.
    pub(crate) async fn restart_with(self, yaml: String) -> Self {
        let Self { log, store, running, count, database, folder, names, .. } = self;
        stop_all(running).await;
        let (running, balancer) = boot(&yaml, &folder, &database, count).await;
        let address = entry(&running, balancer.as_ref());
        Self { address, log, store, running, _balancer: balancer, yaml, count, database, folder, names }
    }

    /// Stops, and returns the folder with the database.
    pub(crate) async fn stopped(self) -> TempDir {
        stop_all(self.running).await;
        self.store.close().await;
        self.folder
    }

    pub(crate) fn database(&self) -> String {
        self.database.url().to_owned()
    }

    pub(crate) async fn ask(&self, request: &Request) -> Whole {
        http::ask(self.address, request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Whole {
        self.ask(&Request::new("GET", target)).await
    }

    /// Requests JSON; the status must be 200.
    pub(crate) async fn json(&self, target: &str) -> Value {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub(crate) async fn send(&self, method: &str, target: &str, body: &Value) -> Value {
        let request = Request::new(method, target).header("content-type", "application/json").body(body.to_string());
        let answer = self.ask(&request).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        answer.json()
    }

    /// Creates a pet.
    pub(crate) async fn pet(&self) -> Value {
        self.pet_described("A pet").await
    }

    pub(crate) async fn pet_described(&self, description: &str) -> Value {
        let name = format!("Pet {}", self.names.fetch_add(1, Ordering::Relaxed));
        let pet = json!({"species": "FISH", "name": name, "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
            "color": "silver", "price": "0.10", "description": description});
        self.send("POST", "/api/pets", &pet).await
    }

    pub(crate) async fn patch(&self, path: &str, of: &Value, change: Value) -> Value {
        self.send("PATCH", &format!("{path}/{}", of["id"].as_str().unwrap()), &change).await
    }

    /// Opens a stream and reads its greeting.
    pub(crate) async fn stream(&self, target: &str) -> (Greeting, Stream) {
        Stream::greeted(self.address, get(target)).await
    }

    /// Resumes a stream after `id`.
    pub(crate) async fn resume(&self, target: &str, id: &str) -> (Greeting, Stream) {
        Stream::greeted(self.address, get(target).header("last-event-id", id)).await
    }

    /// The id of event `seq`.
    pub(crate) async fn id(&self, seq: u64) -> String {
        format!("{}.{seq}", self.log.position().await.unwrap().epoch.as_str())
    }

    pub(crate) async fn head(&self) -> u64 {
        self.log.position().await.unwrap().head
    }

    /// The events of `topics` after `after`.
    pub(crate) async fn told(&self, topics: Topics, after: u64) -> Vec<LoggedEvent> {
        self.log.page(topics, after, u64::MAX >> 1, 1_000_000).await.unwrap()
    }
}

async fn boot(
    yaml: &str,
    folder: &TempDir,
    database: &TestDatabase,
    count: usize,
) -> (Vec<Running>, Option<RoundRobin>) {
    let yaml = format!("{yaml}{}", database.shared());
    std::fs::write(folder.path().join("petstream.yaml"), &yaml).unwrap();
    let mut running = Vec::new();
    for _ in 0..count {
        let database = Some(database.url().to_owned());
        let flags = Flags { listen: Some("127.0.0.1:0".into()), database, ..Flags::default() };
        let sources = Sources { flags, environment: Environment::new(), folder: folder.path().to_owned() };
        let config = load(&sources).unwrap_or_else(|errors| panic!("{errors:#?}\n{yaml}")).config;
        running.push(soon("the server to start", start(config, InheritedSockets::default())).await.unwrap());
    }
    let addresses = running.iter().filter_map(Running::tcp_address).collect();
    let balancer = if count > 1 { Some(RoundRobin::start(addresses).await) } else { None };
    (running, balancer)
}

/// Where clients connect to.
fn entry(running: &[Running], balancer: Option<&RoundRobin>) -> SocketAddr {
    balancer.map_or_else(|| running[0].tcp_address().unwrap(), |balancer| balancer.address)
}

async fn stop_all(all: Vec<Running>) {
    all.iter().for_each(Running::stop);
    for running in all {
        soon("the server to stop", running.stopped()).await;
    }
}
