//! One run: a server that is killed at random moments, writers, and subscribers.

use std::sync::Arc;
use std::time::Duration;

use petstream::wire::event::{Topic, Topics};
use tokio::task::JoinSet;

use crate::history::{History, List, Step};
use crate::log::Log;
use crate::shared_state::SharedState;
use crate::snapshot;
use crate::subscriber::{Habit, Subscriber};
use crate::writer::{Known, Outcome as Answer, Write, Writer};
use test_support::event_stream::seq;
use test_support::http::Request;
use test_support::program::{Folder, Program};
use test_support::random::Random;
use test_support::soon;
use test_support::test_database::TestDatabase;

/// How often the server is killed.
const KILLS: usize = 12;
const WRITERS: usize = 5;

pub(crate) struct Run {
    folder: Folder,
    database: TestDatabase,
    program: Program,
    shared: Arc<SharedState>,
    log: Log,
}

/// The observations of a run.
pub(crate) struct Outcome {
    pub(crate) log: Log,
    /// The store at the end.
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
        for _ in 0..KILLS {
            arena.live(&mut random).await;
            arena = arena.crash().await;
        }
        arena.live(&mut random).await;
        arena.shared.change(|life| life.settled = true);
        let writes = soon("the writers to end", writers.join_all()).await.concat();
        arena.read_to_the_end().await;
        let ends = arena.log.ends();
        arena.shared.change(|life| life.ends = Some(ends));
        let histories = soon("the subscribers to see the last event", subscribers.join_all()).await;
        let store = snapshot::read(&arena.shared, Topics::ALL, 100).await;
        arena.program.stop().await;
        Outcome { log: arena.log, store, writes, histories }
    }

    async fn open(yaml: &str) -> Self {
        let (folder, database) = Folder::with_database(yaml).await;
        let program = folder.start().await;
        let shared = Arc::new(SharedState::new());
        shared.change(|life| life.address = Some(program.address));
        let base = snapshot::read(&shared, Topics::ALL, 100).await;
        assert!(base.iter().all(|list| seq(&list.cursor) == 0), "nothing has happened yet: {base:?}");
        let epoch = base[0].cursor.split('.').next().unwrap_or_default().to_owned();
        Self { folder, database, program, shared, log: Log { epoch, base, ..Log::default() } }
    }

    /// Waits for the moment to kill the server: sometimes right after its start, mostly just after a write was sent.
    async fn live(&self, random: &mut Random) {
        let moment = if random.percent(20) {
            random.below(80_000)
        } else {
            self.shared.sent(random.between(40, 120)).await;
            random.below(8_000)
        };
        tokio::time::sleep(Duration::from_micros(moment as u64)).await;
    }

    /// Kills the server, reads the database that it leaves, and starts another server on it.
    async fn crash(self) -> Self {
        let Self { folder, database, program, shared, mut log } = self;
        // New connections wait for the next server.
        shared.change(|life| life.address = None);
        program.kill().await;
        log.read_left_behind(&database, folder.path()).await;
        let program = folder.start().await;
        shared.change(|life| (life.address, life.generation) = (Some(program.address), life.generation + 1));
        Self { folder, database, program, shared, log }
    }

    /// Reads the events committed since the last crash. All kept events are read again, and must not have changed.
    async fn read_to_the_end(&mut self) {
        loop {
            let page = self.page(&format!("{}.{}", self.log.epoch, self.log.head())).await;
            if self.log.take(&page) {
                break;
            }
        }
        let mut kept = Log { epoch: self.log.epoch.clone(), ..Log::default() };
        let mut after = "earliest".to_owned();
        loop {
            let page = self.page(&after).await;
            if kept.take(&page) {
                break;
            }
            page["cursor"].as_str().unwrap().clone_into(&mut after);
        }
        let all = &self.log.events;
        assert!(all.ends_with(&kept.events), "the log is not what it was");
        assert!(kept.events.len() >= all.len().min(25), "{} of {} events are kept", kept.events.len(), all.len());
    }

    async fn page(&self, after: &str) -> serde_json::Value {
        let request = Request::new("GET", &format!("/api/events?after={after}&wait=0&limit=1000"));
        let answer = self.program.ask(&request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
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
