//! Clients that create pets by way of the balancer, and repeat a request until it is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::replicas::{create_pet_once, text};
use test_support::http::{Connection, Request};
use test_support::soon;

/// Longest wait for an answer: then the request is repeated, since its server may stand still. A change may wait for others
/// for 5 s.
const PATIENCE: Duration = Duration::from_secs(7);

/// Running writers.
pub(crate) struct Writers {
    writers: JoinSet<Vec<Written>>,
    stop: watch::Sender<bool>,
    /// The number of writes that were acknowledged.
    written: watch::Sender<usize>,
}

/// A pet that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Unique among all writes.
    pub(crate) description: String,
    pub(crate) id: String,
    /// Requests without an answer.
    pub(crate) lost: usize,
    /// Answers 503.
    pub(crate) refused: usize,
    /// Whether the answer was marked as a replay: an earlier request had been committed.
    pub(crate) replayed: bool,
}

impl Writers {
    /// Starts so many writers, whose pets have this name in their descriptions.
    pub(crate) fn start(name: &str, count: usize, server: SocketAddr) -> Self {
        Self::start_with(name, count, server, Duration::ZERO, |request| request)
    }

    /// As [`Writers::start`], with an API key, and with a pause after each write, for tests that take long.
    pub(crate) fn start_slow(name: &str, count: usize, server: SocketAddr, key: &'static str) -> Self {
        Self::start_with(name, count, server, Duration::from_millis(40), move |request| request.bearer(key))
    }

    fn start_with(
        name: &str,
        count: usize,
        server: SocketAddr,
        pause: Duration,
        add: impl Fn(Request) -> Request + Copy + Send + 'static,
    ) -> Self {
        let (stop, written) = (watch::Sender::new(false), watch::Sender::new(0));
        let mut writers = JoinSet::new();
        for writer in 0..count {
            writers.spawn(write(format!("{name}-{writer}"), server, (pause, add), stop.subscribe(), written.clone()));
        }
        Self { writers, stop, written }
    }

    /// Waits for so many further writes.
    pub(crate) async fn progress(&self, count: usize) {
        let enough = *self.written.borrow() + count;
        soon("writes", self.written.subscribe().wait_for(|written| *written >= enough)).await.unwrap();
    }

    /// Stops them when their last requests are answered.
    pub(crate) async fn stop(self) -> Vec<Written> {
        self.stop.send_replace(true);
        soon("the writers to end", self.writers.join_all()).await.concat()
    }
}

async fn write(
    writer: String,
    server: SocketAddr,
    (pause, add): (Duration, impl Fn(Request) -> Request),
    stop: watch::Receiver<bool>,
    written: watch::Sender<usize>,
) -> Vec<Written> {
    let mut all = Vec::new();
    while !*stop.borrow() {
        let description = format!("{writer}-{}", all.len());
        let request = add(create_pet_once(&description));
        all.push(create(description, &request, server).await);
        written.send_modify(|written| *written += 1);
        tokio::time::sleep(pause).await;
    }
    all
}

/// Creates the pet of a request, whatever happens meanwhile. Each request has a connection of its own: the next server answers it.
pub(crate) async fn create(description: String, request: &Request, server: SocketAddr) -> Written {
    let (mut lost, mut refused) = (0, 0);
    loop {
        let asked = async { Connection::open_unless_gone(server).await?.ask_unless_gone(request).await };
        let Some(answer) = timeout(PATIENCE, asked).await.ok().flatten() else {
            lost += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        match answer.status {
            201 => {
                let replayed = answer.header("idempotency-replayed") == Some("true");
                let id = text(&answer.json()["id"]);
                return Written { description, id, lost, refused, replayed };
            }
            503 => {
                assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                refused += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // The same request is still executed, on this server or on another one.
            409 if lost > 0 => tokio::time::sleep(Duration::from_millis(20)).await,
            status => panic!("{status}: {}", answer.text()),
        }
    }
}

/// Checks that the events of pets are those of `written`, each once, and that their numbers are dense.
#[track_caller]
pub(crate) fn assert_agree(written: &[Written], log: &[(String, Value)]) {
    let numbers: Vec<u64> = log.iter().map(|(id, _)| test_support::event_stream::seq(id)).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "numbers are dense");
    let created = log.iter().map(|(_, data)| data).filter(|data| data["type"] == "pet-update" && data["version"] == 1);
    let mut created: Vec<(String, String)> =
        created.map(|data| (text(&data["resource"]["description"]), text(&data["id"]))).collect();
    let mut expected: Vec<_> = written.iter().map(|pet| (pet.description.clone(), pet.id.clone())).collect();
    created.sort_unstable();
    expected.sort_unstable();
    assert_eq!(created, expected, "acknowledged pets and events, each once");
}

/// A summary for the output.
pub(crate) fn tally(written: &[Written], began: Instant) -> String {
    let sum = |of: fn(&Written) -> usize| written.iter().map(of).sum::<usize>();
    format!(
        "{} pets in {:?}: {} requests without an answer, {} answers 503, {} replays",
        written.len(),
        began.elapsed(),
        sum(|pet| pet.lost),
        sum(|pet| pet.refused),
        sum(|pet| usize::from(pet.replayed)),
    )
}
