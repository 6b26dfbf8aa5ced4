//! One run: servers that are killed at random moments, writers, and subscribers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use petstream::wire::event::{Topic, Topics};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::history::{Event, History, List, Step};
use crate::log::{Follower, Log};
use crate::shared_state::SharedState;
use crate::snapshot;
use crate::subscriber::{Habit, Subscriber};
use crate::writer::{Known, Outcome as Answer, Write, Writer};
use test_support::event_stream::seq;
use test_support::http::Request;
use test_support::program::{Folder, Program};
use test_support::random::Random;
use test_support::round_robin::RoundRobin;
use test_support::soon;
use test_support::test_database::TestDatabase;

/// How often servers are killed.
const KILLS: usize = 12;
const WRITERS: usize = 5;

pub(crate) struct Run {
    /// Servers on one database, each with a folder of its own.
    servers: Vec<Server>,
    /// In front of several servers.
    balancer: RoundRobin,
    database: TestDatabase,
    shared: Arc<SharedState>,
    log: Log,
}

struct Server {
    folder: Folder,
    /// None while it is killed.
    program: Option<Program>,
}

/// The observations of a run.
pub(crate) struct Outcome {
    pub(crate) log: Log,
    /// The store at the end, as each server has it.
    pub(crate) store: Vec<List>,
    pub(crate) writes: Vec<Write>,
    pub(crate) histories: Vec<History>,
}

impl Run {
    /// Performs a run to its end.
    pub(crate) async fn storm(yaml: &str, seed: u64, habits: &[Habit]) -> Outcome {
        let mut random = Random::new(seed);
        let mut arena = Self::open(yaml).await;
        let known = Arc::new(Known::default());
        let pets = arena.log.base.iter().filter(|list| list.topic == Topic::Pets);
        pets.flat_map(|list| &list.resources).for_each(|pet| known.learn(pet));
        let (mut writers, mut subscribers) = (JoinSet::new(), JoinSet::new());
        for habit in habits.iter().copied() {
            let (shared, random) = (Arc::clone(&arena.shared), Random::new(random.any()));
            subscribers.spawn(async move { Subscriber::new(&shared, habit, random).listen().await });
        }
        for number in 0..WRITERS {
            let (shared, known, random) = (Arc::clone(&arena.shared), Arc::clone(&known), Random::new(random.any()));
            let name = format!("{seed}-{number}");
            writers.spawn(async move { Writer::new(&shared, &known, random, name).write().await });
        }
        let over = CancellationToken::new();
        let following = arena.follow(&over).await;
        for number in 0..KILLS {
            arena.live(&mut random).await;
            let victims = arena.draw(number, &mut random);
            arena.crash(victims, &mut random).await;
        }
        arena.live(&mut random).await;
        arena.shared.change(|life| life.settled = true);
        let writes = soon("the writers to end", writers.join_all()).await.concat();
        over.cancel();
        if let Some(following) = following {
            arena.log = soon("the log to be read", following).await.unwrap();
        }
        arena.read_to_the_end().await;
        let ends = arena.log.ends();
        arena.shared.change(|life| life.ends = Some(ends));
        let histories = soon("the subscribers to see the last event", subscribers.join_all()).await;
        let mut store = Vec::new();
        for server in arena.running() {
            store.extend(snapshot::read_at(server.address, Topics::ALL, 100).await);
        }
        for server in arena.servers {
            server.program.expect("it runs").stop().await;
        }
        Outcome { log: arena.log, store, writes, histories }
    }

    async fn open(yaml: &str) -> Self {
        let (folder, database) = Folder::with_database(yaml).await;
        let further = (1..database.replicas()).map(|_| Folder::on(&database, yaml)).collect::<Vec<_>>();
        let mut servers = Vec::new();
        for folder in [folder].into_iter().chain(further) {
            let program = Some(folder.start().await);
            servers.push(Server { folder, program });
        }
        let (balancer, shared) = (RoundRobin::start(Vec::new()).await, Arc::new(SharedState::new()));
        let mut arena = Self { servers, balancer, database, shared, log: Log::default() };
        arena.publish_addresses();
        let base = snapshot::read(&arena.shared, Topics::ALL, 100).await;
        assert!(base.iter().all(|list| seq(&list.cursor) == 0), "nothing has happened yet: {base:?}");
        let epoch = base[0].cursor.split('.').next().unwrap_or_default().to_owned();
        arena.log = Log { epoch, base, ..Log::default() };
        arena
    }

    fn running(&self) -> impl Iterator<Item = &Program> {
        self.servers.iter().filter_map(|server| server.program.as_ref())
    }

    /// Tells clients where servers run: one server itself, or the balancer in front of several, which needs one of them.
    fn publish_addresses(&self) {
        let addresses: Vec<_> = self.running().map(|program| program.address).collect();
        let one = addresses.first().copied();
        let entry = one.map(|one| if self.servers.len() == 1 { one } else { self.balancer.address });
        self.balancer.set(addresses);
        self.shared.change(|life| life.address = entry);
    }

    /// Reads the log all the time, where several servers write it: there is no moment without one.
    async fn follow(&self, over: &CancellationToken) -> Option<JoinHandle<Log>> {
        if self.servers.len() == 1 {
            return None;
        }
        let follower = Follower::open(&self.database, self.log.clone()).await;
        Some(tokio::spawn(follower.follow(over.clone())))
    }

    /// Waits for the moment to kill a server: sometimes right after its start, mostly just after a write was sent.
    async fn live(&self, random: &mut Random) {
        let moment = if random.percent(20) {
            random.below(80_000)
        } else {
            self.shared.sent(random.between(40, 120)).await;
            random.below(8_000)
        };
        tokio::time::sleep(Duration::from_micros(moment as u64)).await;
    }

    /// The servers to kill: one of several, two of them every fourth time.
    fn draw(&self, number: usize, random: &mut Random) -> BTreeSet<usize> {
        let count = self.servers.len();
        if count == 1 {
            return BTreeSet::from([0]);
        }
        let first = random.below(count);
        let second = number.is_multiple_of(4).then(|| (first + 1) % count);
        [first].into_iter().chain(second).collect()
    }

    /// Kills servers, and starts others in their folders. Of a single one it reads the database in between.
    async fn crash(&mut self, victims: BTreeSet<usize>, random: &mut Random) {
        let count = self.servers.len();
        let programs: Vec<_> = victims.iter().filter_map(|victim| self.servers[*victim].program.take()).collect();
        if programs.len() == count {
            // New connections wait for the next server.
            self.publish_addresses();
        }
        for program in programs {
            program.kill().await;
        }
        if count == 1 {
            self.log.read_left_behind(&self.database, self.servers[0].folder.path()).await;
        } else if victims.len() < count {
            // The others go on meanwhile; the balancer finds out by itself.
            self.shared.sent(random.between(1, 40)).await;
        }
        for victim in victims {
            let server = &mut self.servers[victim];
            server.program = Some(server.folder.start().await);
        }
        self.publish_addresses();
        self.shared.change(|life| life.generation += 1);
    }

    /// Reads the events committed since the last crash. All kept events are read again from each server, and must not
    /// have changed.
    async fn read_to_the_end(&mut self) {
        loop {
            let first = self.running().next().expect("a server").address;
            let page = page(first, &format!("{}.{}", self.log.epoch, self.log.head())).await;
            if self.log.take(&page) {
                break;
            }
        }
        let all = &self.log.events;
        for server in self.running() {
            let kept = self.kept_at(server.address).await;
            assert!(all.ends_with(&kept), "the log of {} is not what it was", server.address);
            assert!(kept.len() >= all.len().min(25), "{} of {} events are kept", kept.len(), all.len());
        }
    }

    /// The events that a server still has.
    async fn kept_at(&self, server: SocketAddr) -> Vec<Event> {
        let mut kept = Log { epoch: self.log.epoch.clone(), ..Log::default() };
        let mut after = "earliest".to_owned();
        loop {
            let page = page(server, &after).await;
            if kept.take(&page) {
                return kept.events;
            }
            page["cursor"].as_str().unwrap().clone_into(&mut after);
        }
    }
}

async fn page(server: SocketAddr, after: &str) -> serde_json::Value {
    let request = Request::new("GET", &format!("/api/events?after={after}&wait=0&limit=1000"));
    let answer = test_support::http::ask(server, &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

impl Outcome {
    /// The number of steps that `of` accepts.
    pub(crate) fn steps(&self, of: impl Fn(&Step) -> bool) -> usize {
        self.histories.iter().map(|history| history.count(&of)).sum()
    }

    /// Writes whose first request got no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.writes.iter().filter(|write| write.repeated || write.outcome == Answer::Doubt).count()
    }

    /// A summary for the output.
    pub(crate) fn tally(&self) -> String {
        format!(
            "{KILLS} crashes, {} writes, {} of them without an answer, {} of those done all the same, {} events, \
             {} told, {} cuts, {} resets",
            self.writes.len(),
            self.unanswered(),
            self.writes.iter().filter(|write| write.replayed).count() + self.done_in_doubt(),
            self.log.events.len(),
            self.steps(|step| matches!(step, Step::Event(..))),
            self.steps(|step| *step == Step::Cut),
            self.steps(|step| matches!(step, Step::Reset { .. })),
        )
    }

    /// Edits without an answer that were committed.
    fn done_in_doubt(&self) -> usize {
        let doubts = self.writes.iter().filter(|write| write.outcome == Answer::Doubt);
        let made = |tag: &str| self.log.events.iter().any(|event| event.data["resource"]["description"] == tag);
        doubts.filter(|write| made(&write.tag)).count()
    }
}
