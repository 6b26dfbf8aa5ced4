//! Servers on one database, behind a balancer.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::{Value, json};

use test_support::becomes;
use test_support::event_stream::{Greeting, Stream, get};
use test_support::http::{self, Request, Whole};
use test_support::program::{Folder, Program};
use test_support::round_robin::RoundRobin;

/// A configuration without keys, whose subscribers reconnect at once.
pub(crate) const OPEN: &str = "auth: none\nevents: {heartbeat: 1s, retry: 100ms}\n";

/// Servers on one database, each in a folder of its own.
pub(crate) struct Replicas {
    pub(crate) balancer: RoundRobin,
    replicas: Vec<Replica>,
    /// Command line arguments for the database.
    database: Vec<String>,
    yaml: String,
    /// The API key of requests.
    key: Option<&'static str>,
}

struct Replica {
    folder: Folder,
    setup: Setup,
    /// None while it is killed.
    program: Option<Program>,
}

/// What one server has for itself.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Further command line arguments.
    flags: Vec<String>,
    /// Seconds that its clock is ahead.
    ahead: i64,
}

impl Setup {
    /// A server with a Redis.
    pub(crate) fn with_redis(url: &str) -> Self {
        Self { flags: vec!["--redis".to_owned(), url.to_owned()], ahead: 0 }
    }

    /// As before, with a clock that is ahead by so many seconds.
    pub(crate) fn ahead(self, seconds: i64) -> Self {
        Self { ahead: seconds, ..self }
    }

    async fn start(&self, folder: &Folder, database: &[String]) -> Program {
        let arguments: Vec<&str> = database.iter().chain(&self.flags).map(String::as_str).collect();
        if self.ahead == 0 {
            folder.start_with(&arguments).await
        } else {
            folder.start_ahead(self.ahead, &arguments).await
        }
    }
}

impl Replicas {
    /// Starts `count` servers at once, with this configuration and database.
    pub(crate) async fn start(count: usize, yaml: &str, database: &str) -> Self {
        Self::start_each(yaml, database, vec![Setup::default(); count]).await
    }

    /// As [`Replicas::start`]; a server that makes a key prints it.
    pub(crate) async fn start_printing(count: usize, yaml: &str, database: &str) -> Self {
        let setup = Setup { flags: vec!["--print-key".to_owned()], ahead: 0 };
        Self::start_each(yaml, database, vec![setup; count]).await
    }

    /// As [`Replicas::start`], with a Redis beside the database.
    pub(crate) async fn start_with_redis(count: usize, yaml: &str, database: &str, redis: &str) -> Self {
        Self::start_each(yaml, database, vec![Setup::with_redis(redis); count]).await
    }

    /// As [`Replicas::start`], with the database in the configuration.
    pub(crate) async fn start_configured(count: usize, yaml: &str) -> Self {
        Self::start_with(yaml, Vec::new(), vec![Setup::default(); count]).await
    }

    /// As [`Replicas::start`], one server for each setup.
    pub(crate) async fn start_each(yaml: &str, database: &str, setups: Vec<Setup>) -> Self {
        Self::start_with(yaml, vec!["--database".to_owned(), database.to_owned()], setups).await
    }

    async fn start_with(yaml: &str, database: Vec<String>, setups: Vec<Setup>) -> Self {
        let start = async |setup: Setup| {
            let folder = Folder::with(yaml);
            let program = Some(setup.start(&folder, &database).await);
            Replica { folder, setup, program }
        };
        let replicas = join_all(setups.into_iter().map(start)).await;
        let all = Self {
            balancer: RoundRobin::start(Vec::new()).await,
            replicas,
            database,
            yaml: yaml.to_owned(),
            key: None,
        };
        all.balance();
        all
    }

    /// Sends requests with this API key.
    pub(crate) fn with_key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }

    fn authorized(&self, request: &Request) -> Request {
        match self.key {
            Some(key) => request.clone().bearer(key),
            None => request.clone(),
        }
    }

    /// Tells the balancer to leave out a server, as one with health checks does, until the next start of one.
    pub(crate) fn leave_out(&self, number: usize) {
        let others = self.replicas.iter().enumerate().filter(|(other, _)| *other != number);
        self.balancer.set(others.filter_map(|(_, replica)| Some(replica.program.as_ref()?.address)).collect());
    }

    /// Tells the balancer which servers run.
    pub(crate) fn balance(&self) {
        self.balancer.set(self.running().map(|program| program.address).collect());
    }

    fn running(&self) -> impl Iterator<Item = &Program> {
        self.replicas.iter().filter_map(|replica| replica.program.as_ref())
    }

    pub(crate) fn program(&self, number: usize) -> &Program {
        self.replicas[number].program.as_ref().expect("it runs")
    }

    /// The numbers of those that run.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        (0..self.replicas.len()).filter(|number| self.replicas[*number].program.is_some()).collect()
    }

    /// Starts one more, with the setup of the first.
    pub(crate) async fn add(&mut self) {
        let (folder, setup) = (Folder::with(&self.yaml), self.replicas[0].setup.clone());
        let program = Some(setup.start(&folder, &self.database).await);
        self.replicas.push(Replica { folder, setup, program });
        self.balance();
    }

    /// The addresses of those that run.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.running().map(|program| program.address).collect()
    }

    /// Kills a server with SIGKILL.
    pub(crate) async fn kill(&mut self, number: usize) {
        // The balancer finds out by itself.
        self.replicas[number].program.take().expect("it runs").kill().await;
    }

    /// Stops a server with SIGTERM, which the balancer knows before.
    pub(crate) async fn terminate(&mut self, number: usize) {
        self.leave_out(number);
        self.replicas[number].program.take().expect("it runs").stop().await;
    }

    /// Starts a server that was killed or stopped.
    pub(crate) async fn launch(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        assert!(replica.program.is_none(), "it runs");
        replica.program = Some(replica.setup.start(&replica.folder, &self.database).await);
        self.balance();
    }

    /// Runs a command of the executable on the database; returns its output.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let database = self.database.iter().map(String::as_str);
        let arguments: Vec<&str> = arguments.iter().copied().chain(database).collect();
        let outcome = self.replicas[0].folder.run(&arguments).await;
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.err);
        outcome.out
    }

    /// Sends a request to one server.
    pub(crate) async fn ask(&self, number: usize, request: &Request) -> Whole {
        http::ask(self.program(number).address, &self.authorized(request)).await
    }

    /// Opens a stream on one server, after `cursor`.
    pub(crate) async fn stream(&self, number: usize, target: &str, cursor: Option<&str>) -> (Greeting, Stream) {
        let request = get(target);
        let request = match cursor {
            Some(cursor) => request.header("last-event-id", cursor),
            None => request,
        };
        Stream::greeted(self.program(number).address, self.authorized(&request)).await
    }

    /// All events that one server knows: id and data.
    pub(crate) async fn log(&self, number: usize) -> Vec<(String, Value)> {
        let (mut all, mut after) = (Vec::new(), "earliest".to_owned());
        // A server that has lost its database tries it again after a moment.
        let newest = Request::new("GET", "/api/inventory");
        becomes(&200, async || self.ask(number, &newest).await.status).await;
        loop {
            let request = Request::new("GET", &format!("/api/events?after={after}&wait=0&limit=1000"));
            let answer = self.ask(number, &request).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            assert_eq!(page["reset"], Value::Null);
            let events = page["events"].as_array().unwrap();
            if events.is_empty() {
                return all;
            }
            all.extend(events.iter().map(|event| (text(&event["id"]), event["data"].clone())));
            after = text(&page["cursor"]);
        }
    }

    /// Stops all that run with SIGTERM; returns their output on stdout.
    pub(crate) async fn stop(self) -> Vec<String> {
        let programs = self.replicas.into_iter().filter_map(|replica| replica.program);
        join_all(programs.map(Program::stop)).await
    }
}

/// The text of a JSON value.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// `POST /api/pets` of a pet with this description.
pub(crate) fn create_pet(description: &str) -> Request {
    let pet = json!({"species": "FISH", "name": "Wanda", "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
        "color": "silver", "price": "0.10", "description": description});
    Request::new("POST", "/api/pets").header("content-type", "application/json").body(pet.to_string())
}

/// As [`create_pet`], with an idempotency key.
pub(crate) fn create_pet_once(description: &str) -> Request {
    create_pet(description).header("idempotency-key", &format!("\"{description}\""))
}
