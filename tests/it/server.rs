//! The server in the process of the tests, on a free port; or several on one database behind a balancer, where the
//! environment says so ([`TestDatabase`]).

use std::net::SocketAddr;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use petstream::api::Route;
use petstream::app::{InheritedSockets, ListenerAddress, Running, start_with};
use petstream::config::{Config, Environment, Flags, Sources, load};
use petstream::limiter::Clock;
use tempfile::TempDir;

use test_support::config::one_model;
use test_support::http::{self, Connection, Request, Whole};
use test_support::round_robin::RoundRobin;
use test_support::soon;
use test_support::test_database::TestDatabase;
use test_support::upstream::Upstream;
use test_support::usage_records::{self, Usage};

/// A running server, or several behind a balancer.
pub(crate) struct Server {
    /// The address of its first TCP listener, of port 0 if there is none; of several servers, the balancer's.
    pub(crate) address: SocketAddr,
    /// The address of its metrics listener, if it has one; of several servers, the first one's.
    pub(crate) metrics: Option<SocketAddr>,
    /// The secret of the first key, which it creates where there is no key.
    pub(crate) first_key: Option<String>,
    /// None where limits follow the clock of Redis.
    clock: Option<FakeRelativeClock>,
    /// The first server.
    running: Running,
    further: Vec<Running>,
    /// In front of several servers.
    _balancer: Option<RoundRobin>,
    /// Where its configuration comes from.
    sources: Sources,
    database: TestDatabase,
    /// Its working folder.
    folder: TempDir,
}

impl Server {
    /// Starts with `yaml` as its `petstream.yaml`, a database in memory (or the one of [`TestDatabase`]), and a clock
    /// of the limits that only [`Server::advance`] moves. It accepts connections when this returns.
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::start_with_files(yaml, &[]).await
    }

    /// As [`Server::start`], one server also where the environment chooses several: its test is about something that each
    /// server has for itself.
    pub(crate) async fn start_alone(yaml: &str) -> Self {
        let database = TestDatabase::create_in_memory().await;
        Self::start_several(TempDir::new().unwrap(), yaml, (database, 1), &[]).await
    }

    /// As [`Server::start`], with an empty file and these environment variables.
    pub(crate) async fn start_with_environment(variables: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create_in_memory().await;
        Self::start_in(TempDir::new().unwrap(), "", database, variables).await
    }

    /// As [`Server::start`], with the database in a file, so that it can be read by the test.
    pub(crate) async fn start_on_disk(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let database = TestDatabase::create(folder.path()).await;
        Self::start_in(folder, yaml, database, &[]).await
    }

    /// As [`Server::start_on_disk`], on SQLite also where the environment chooses another database: its test executes
    /// statements of SQLite.
    pub(crate) async fn start_on_sqlite(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let database = TestDatabase::sqlite(folder.path());
        Self::start_in(folder, yaml, database, &[]).await
    }

    /// A server without keys, with one model `m` served by `upstream`.
    pub(crate) async fn in_front_of(upstream: &Upstream) -> Self {
        Self::start(&one_model(upstream, "")).await
    }

    /// As [`Server::start`], with these files beside `petstream.yaml`.
    pub(crate) async fn start_with_files(yaml: &str, files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        let database = TestDatabase::create_in_memory().await;
        Self::start_in(folder, yaml, database, &[]).await
    }

    /// As [`Server::start_with_files`], with listeners of its own: the file begins with `listen:`.
    pub(crate) async fn start_listening(yaml: &str, files: &[(&str, &str)]) -> Self {
        assert!(yaml.starts_with("listen:"));
        Self::start_with_files(yaml, files).await
    }

    /// Replaces a file beside `petstream.yaml`, atomically.
    pub(crate) fn replace_file(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    async fn start_in(folder: TempDir, yaml: &str, database: TestDatabase, variables: &[(&str, &str)]) -> Self {
        // One that listens on addresses of its own stays alone.
        let count = if yaml.starts_with("listen:") { 1 } else { database.replicas() };
        Self::start_several(folder, yaml, (database, count), variables).await
    }

    async fn start_several(
        folder: TempDir,
        yaml: &str,
        (database, count): (TestDatabase, usize),
        variables: &[(&str, &str)],
    ) -> Self {
        let yaml = &format!("{yaml}{}", database.shared());
        std::fs::write(folder.path().join("petstream.yaml"), yaml).unwrap();
        // A file that says where to listen is obeyed.
        let listen = (!yaml.starts_with("listen:")).then(|| "127.0.0.1:0".to_owned());
        let flags = Flags { listen, database: Some(database.url().to_owned()), print_key: true, ..Flags::default() };
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { flags, environment, folder: folder.path().to_owned() };
        let (clock, hand) = if database.shared().is_empty() {
            let (clock, hand) = Clock::fake();
            (clock, Some(hand))
        } else {
            (Clock::real(), None)
        };
        let mut all = Vec::new();
        for _ in 0..count {
            let starting = start_with(read(&sources), InheritedSockets::default(), clock.clone());
            all.push(soon("the server to start", starting).await.unwrap());
        }
        let addresses: Vec<_> = all.iter().filter_map(Running::tcp_address).collect();
        let balancer = if count > 1 { Some(RoundRobin::start(addresses.clone()).await) } else { None };
        let further = all.split_off(1);
        let mut running = all.pop().expect("at least one server");
        let first_key = running.first_key.take();
        let address = balancer.as_ref().map(|balancer| balancer.address).or_else(|| addresses.first().copied());
        Self {
            address: address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
            metrics: running.metrics_address,
            first_key,
            clock: hand,
            running,
            further,
            _balancer: balancer,
            sources,
            database,
            folder,
        }
    }

    /// Puts `yaml` in force as its `petstream.yaml`. Returns the settings that need a restart.
    pub(crate) async fn reload(&self, yaml: &str) -> Vec<String> {
        self.replace_file("petstream.yaml", &format!("{yaml}{}", self.database.shared()));
        let mut needs_restart = Vec::new();
        for running in self.all() {
            let report = soon("the reload", running.reloader().apply(read(&self.sources))).await;
            assert_eq!(report.errors, [""; 0]);
            needs_restart = report.needs_restart;
        }
        needs_restart
    }

    /// All servers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Running> {
        std::iter::once(&self.running).chain(&self.further)
    }

    /// The URL of the database of [`Server::start_on_disk`].
    pub(crate) fn database(&self) -> String {
        self.database.url().to_owned()
    }

    /// The path of a file in its working folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The addresses of its listeners.
    pub(crate) fn addresses(&self) -> &[ListenerAddress] {
        &self.running.addresses
    }

    /// Moves the clock of the limits.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.as_ref().expect("a test of limits that are the server's own").advance(by);
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// All routes of its API.
    pub(crate) fn routes(&self) -> &[Route] {
        &self.running.routes
    }

    /// Sends `request` on a new connection, and reads the whole answer.
    pub(crate) async fn ask(&self, request: &Request) -> Whole {
        http::ask(self.address, request).await
    }

    /// Begins to stop it.
    pub(crate) fn begin_stop(&self) {
        self.all().for_each(Running::stop);
    }

    /// Ends the wait for running requests, and for the delay before.
    pub(crate) fn skip_drain(&self) {
        self.all().for_each(|running| running.shutdown().skip_drain.raise());
    }

    /// Stops a server of [`Server::start_on_disk`]. Returns its usage records in the order in which the requests
    /// ended.
    pub(crate) async fn records(self) -> Vec<Usage> {
        let Self { running, further, database, .. } = self;
        stop_all(running, further).await;
        usage_records::read(database.url()).await
    }

    /// Stops it and waits for the end of its last connection. Returns its folder, which is removed when dropped.
    pub(crate) async fn stop(self) -> TempDir {
        let Self { running, further, folder, .. } = self;
        stop_all(running, further).await;
        folder
    }
}

async fn stop_all(first: Running, further: Vec<Running>) {
    let all = [first].into_iter().chain(further);
    for running in all {
        running.stop();
        soon("the server to stop", running.stopped()).await;
    }
}

fn read(sources: &Sources) -> Config {
    load(sources).unwrap_or_else(|errors| panic!("{errors:#?}")).config
}
