//! Clients of completions by way of the balancer, and what a limit would have admitted at most.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use test_support::frames::request;
use test_support::http::{Connection, Request};
use test_support::{becomes, soon};

/// Pause between two requests of a caller.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for an answer: a server that stands still is left then.
const PATIENCE: Duration = Duration::from_secs(3);

/// What callers have got since it was taken last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) completed: usize,
    /// Refused by a limit.
    pub(crate) limited: usize,
    /// Requests without a whole answer.
    pub(crate) lost: usize,
    /// Longest wait for an answer.
    pub(crate) longest: Duration,
    /// Other answers.
    pub(crate) failed: Vec<String>,
}

/// Running callers.
pub(crate) struct Callers {
    callers: JoinSet<()>,
    stop: watch::Sender<bool>,
    // std Mutex: never held across .await
    answers: Arc<Mutex<Answers>>,
}

impl Callers {
    /// Starts so many, each with one request at a time for this model, with this key.
    pub(crate) fn start(count: usize, server: SocketAddr, model: &'static str, key: &'static str) -> Self {
        let (stop, answers) = (watch::Sender::new(false), Arc::<Mutex<Answers>>::default());
        let mut callers = JoinSet::new();
        for _ in 0..count {
            let request = Request::chat(&request(&json!({ "model": model }))).bearer(key);
            callers.spawn(call(server, request, Arc::clone(&answers), stop.subscribe()));
        }
        Self { callers, stop, answers }
    }

    /// What they have got since the last call.
    pub(crate) fn take(&self) -> Answers {
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a further request is refused by a limit.
    pub(crate) async fn limited(&self) {
        self.more(1, |answers| answers.limited).await;
    }

    /// Waits for so many further answers.
    pub(crate) async fn answered(&self, count: usize) {
        self.more(count, |answers| answers.limited + answers.completed).await;
    }

    async fn more(&self, count: usize, of: fn(&Answers) -> usize) {
        let now = || of(&self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        let enough = now() + count;
        becomes(&true, async || {
            tokio::time::sleep(PAUSE).await;
            now() >= enough
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        soon("the callers to end", self.callers.join_all()).await;
    }
}

async fn call(server: SocketAddr, request: Request, answers: Arc<Mutex<Answers>>, stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let began = Instant::now();
        let asked = async { Connection::open_unless_gone(server).await?.ask_unless_gone(&request).await };
        let answer = timeout(PATIENCE, asked).await.ok().flatten();
        {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            if answer.is_some() {
                answers.longest = answers.longest.max(began.elapsed());
            }
            match answer {
                Some(answer) if answer.status == 200 => answers.completed += 1,
                Some(answer) if answer.status == 429 => answers.limited += 1,
                Some(answer) => answers.failed.push(format!("{}: {}", answer.status, answer.text())),
                None => answers.lost += 1,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A bucket that is full at the first request, and gains its limit in a minute without a pause: what one process would
/// have admitted at most.
pub(crate) struct Ideal {
    limit: f64,
    level: f64,
    at: Option<Instant>,
    seen: usize,
    /// Least level since it was taken last.
    least: f64,
}

impl Ideal {
    pub(crate) fn new(limit: u32) -> Self {
        let limit = f64::from(limit);
        Self { limit, level: limit, at: None, seen: 0, least: limit }
    }

    /// Counts admissions at these times, of which it knows a part already; returns how many were too many since the last
    /// call, beyond those that were too many before.
    pub(crate) fn over(&mut self, times: &[Instant]) -> f64 {
        let before = self.level.min(0.0);
        self.least = self.level;
        let mut new = times[self.seen..].to_vec();
        new.sort_unstable();
        self.seen = times.len();
        for time in new {
            self.pass(time);
            self.level -= 1.0;
            self.least = self.least.min(self.level);
        }
        (before - self.least).max(0.0)
    }

    fn pass(&mut self, to: Instant) {
        let time = self.at.map_or(0.0, |at| to.saturating_duration_since(at).as_secs_f64());
        self.level = (self.level + time * self.limit / 60.0).min(self.limit);
        self.at = Some(self.at.map_or(to, |at| at.max(to)));
    }
}

#[test]
fn the_ideal_bucket_counts_what_is_beyond_its_limit() {
    let begin = Instant::now();
    let at = |seconds: u64| begin + Duration::from_secs(seconds);
    let mut ideal = Ideal::new(60);
    let mut times = vec![at(0); 60];
    assert_eq!(ideal.over(&times), 0.0);
    times.extend([at(10); 12]);
    assert_eq!(ideal.over(&times), 2.0);
    times.extend([at(11), at(12)]);
    assert_eq!(ideal.over(&times), 0.0, "what is too many stays, and is not counted twice");
}
