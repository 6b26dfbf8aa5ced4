//! Faults drawn from a seed, one after the other, over three servers with writers, subscribers, and callers of
//! completions. After each fault its bounds are checked, at the end what all servers and clients have seen.
//!
//! `REPLICAS_SEED` (1) chooses the order and the servers that are hit, `REPLICAS_FAULTS` the number of faults: by default
//! each fault once. `cargo test --test replicas matrix:: -- --nocapture` prints the table of the bounds and of what was
//! measured.

mod fault;
mod run;

use std::time::Duration;

use test_support::random::Random;

use fault::Fault;
use run::Run;

const REPLICAS: usize = 3;

/// What the servers share.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    Postgres,
    PostgresAndRedis,
}

/// What was measured of one fault.
struct Row {
    fault: Fault,
    /// Requests beyond the limit; none without shared limits.
    over: Option<f64>,
    /// Their bound, with the shares of replicas that Redis did not answer in time for another reason.
    most_over: f64,
    writes: Duration,
    events: Duration,
    completions: Duration,
}

impl Row {
    /// A line of the table.
    fn line(&self, engine: Engine) -> String {
        let over = self.over.map_or("-".to_owned(), |over| format!("{over:.1} of {:.1}", self.most_over));
        format!(
            "{:<17} {REPLICAS} {:<18} {over:>13} {:>14} {:>14} {:>14}",
            format!("{engine:?}"),
            format!("{:?}", self.fault),
            format!("{:.2?} <{}s", self.writes, self.fault.longest_wait().as_secs()),
            format!("{:.2?}", self.events),
            format!("{:.2?}", self.completions),
        )
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// So many faults: each once in a drawn order, then each once again.
fn drawn(engine: Engine, count: usize, random: &mut Random) -> Vec<Fault> {
    let mut all = Vec::new();
    while all.len() < count {
        let mut rest = Fault::all(engine);
        while !rest.is_empty() {
            all.push(rest.swap_remove(random.below(rest.len())));
        }
    }
    all.truncate(count);
    all
}

async fn faults_stay_within_their_bounds(engine: Engine) {
    let seed = setting("REPLICAS_SEED", 1);
    let count = usize::try_from(setting("REPLICAS_FAULTS", Fault::all(engine).len() as u64)).unwrap();
    let mut random = Random::new(seed);
    let faults = drawn(engine, count, &mut random);
    eprintln!("{engine:?}: REPLICAS_SEED={seed}: {faults:?}");
    let mut run = Run::start(engine).await;
    let mut lines = vec![format!(
        "{:<17} R {:<18} {:>13} {:>14} {:>14} {:>14}",
        "engine", "fault", "over limit", "writes", "events <2s", "compl. <2s"
    )];
    for fault in faults {
        let row = run.suffer(fault, random.below(REPLICAS)).await;
        lines.push(row.line(engine));
        eprintln!("seed {seed}: {}", lines.last().unwrap());
        run.check(&row);
    }
    let summary = run.end().await;
    eprintln!("seed {seed}:\n{}\n{summary}", lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_faults_stay_within_their_bounds() {
    faults_stay_within_their_bounds(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_and_redis_faults_stay_within_their_bounds() {
    faults_stay_within_their_bounds(Engine::PostgresAndRedis).await;
}
