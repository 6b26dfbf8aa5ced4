//! Fault injection: batches of concurrent requests with faults of upstreams, disconnections, slow readers and
//! outages, drawn from a seed. Afterwards, what clients received, what upstreams sent, usage records, metrics and
//! limits must agree.
//!
//! `STORM_SEED=n cargo test --test storm` adds a batch with another seed. A failure prints its seed.
#![cfg(test)]

mod fixture;
mod regressions;
#[allow(dead_code, reason = "the tests in tests/it start it in more ways")]
#[path = "../it/server.rs"]
mod server;

use std::time::{Duration, Instant};

use test_support::random::Random;
use test_support::storm::check::{Case, answers, levels, records};
use test_support::storm::fault::Fault;
use test_support::storm::plan::{Behaviour, Plan, Script};
use test_support::storm::transcript::Ending;

use fixture::Fixture;

/// The default seed.
const SEED: u64 = 20_260_711;
/// Requests per batch.
const SIZE: usize = 160;
/// Longest time of a batch; it takes some ten seconds.
const MOST: Duration = Duration::from_secs(90);
/// Violations of each kind that are printed: one fault causes many.
const SHOWN: usize = 20;

/// Two batches of one size, so that memory can be compared, and one with the seed of the environment.
fn seeds() -> Vec<u64> {
    let own = std::env::var("STORM_SEED").ok();
    let own = own.map(|seed| seed.parse().unwrap_or_else(|e| panic!("STORM_SEED={seed:?}: {e}")));
    [SEED, SEED + 1].into_iter().chain(own).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_batch_with_faults_all_records_agree() {
    let mut fixture = Fixture::start().await;
    let mut resident = Vec::new();
    let mut known = 0;
    for seed in seeds() {
        let began = Instant::now();
        eprintln!("storm {seed}");
        let storm = tokio::time::timeout(MOST, fixture.storm(seed, SIZE));
        let cases = storm.await.unwrap_or_else(|_| panic!("storm {seed} has no end"));
        eprintln!("storm {seed}: {SIZE} requests in {:?}, {}", began.elapsed(), tally(&cases));
        let mut found: Vec<String> = cases.iter().flat_map(answers::check).take(SHOWN).collect();
        found.extend(untried(&cases));
        let page = fixture.quiet().await;
        let rows = fixture.rows().await;
        found.extend(records::check(&cases, &rows[known..]).into_iter().take(SHOWN));
        match page {
            Ok(page) => found.extend(levels::counters(&page, &rows)),
            Err(gauges) => found.extend(gauges),
        }
        if let Some((limit, remaining)) = fixture.budget().await {
            found.extend(levels::budget(limit, remaining, &rows));
        }
        found.extend(fixture.permits().await);
        found.extend(fixture.quiet().await.err().unwrap_or_default());
        assert!(found.is_empty(), "storm {seed}:\n{}", found.join("\n"));
        drop((cases, rows));
        known = fixture.rows().await.len();
        resident.extend(levels::resident());
    }
    if let [first, second, ..] = resident[..] {
        eprintln!("resident: {} MiB, then {} MiB", first >> 20, second >> 20);
        let found = levels::memory(first, second);
        assert!(found.is_empty(), "{found:?}");
    }
    fixture.stop().await;
}

/// A summary of the endings, for the output.
fn tally(cases: &[Case]) -> String {
    let count = |of: fn(&Ending) -> bool| cases.iter().filter(|case| of(&case.observed.ending)).count();
    format!(
        "{} complete, {} failed, {} cut, {} left, {} refused by limits, {} attempts, {} disturbed",
        count(|ending| *ending == Ending::Complete),
        count(|ending| matches!(ending, Ending::Failed(_))),
        count(|ending| *ending == Ending::Cut),
        count(|ending| *ending == Ending::Left),
        cases.iter().filter(|case| case.is_limited()).count(),
        cases.iter().map(|case| case.attempts.len()).sum::<usize>(),
        cases.iter().flat_map(|case| &case.attempts).filter(|attempt| attempt.disturbed).count(),
    )
}

/// Situations that did not occur in the batch: a batch that does not cover them must not pass.
fn untried(cases: &[Case]) -> Vec<String> {
    type Test = fn(&Case) -> bool;
    fn streamed(case: &Case) -> bool {
        case.plan.streamed && case.observed.status == Some(200)
    }
    fn paused(case: &Case) -> bool {
        case.plan.client == Behaviour::Pause
    }
    let wanted: [(&str, Test); 8] = [
        ("a stream that completes", |case| streamed(case) && case.observed.ending == Ending::Complete),
        ("a plain answer that completes", |case| !case.plan.streamed && case.observed.ending == Ending::Complete),
        ("an error frame", |case| streamed(case) && matches!(case.observed.ending, Ending::Failed(_))),
        ("a status with an envelope", |case| case.observed.status.is_some_and(|status| status >= 500)),
        ("a reader that is cut", |case| case.observed.ending == Ending::Cut),
        ("a reader that goes on", |case| paused(case) && case.observed.ending == Ending::Complete),
        ("a client that leaves", |case| case.observed.ending == Ending::Left),
        ("another attempt that completes", |case| case.attempts.len() > 1 && case.observed.ending == Ending::Complete),
    ];
    let faults: Vec<Fault> = cases.iter().flat_map(|case| &case.attempts).map(|attempt| attempt.script.fault).collect();
    let silent =
        faults.iter().any(|fault| matches!(fault, Fault::SilentInside | Fault::SilentFirst | Fault::SilentHead));
    let missing = wanted
        .iter()
        .filter(|(_, of)| !cases.iter().any(of))
        .map(|(what, _)| format!("the storm did not bring {what}"));
    missing.chain((!silent).then(|| "the storm did not bring silence".to_owned())).collect()
}

#[test]
fn the_same_seed_draws_the_same_storm() {
    let draw = |seed| {
        let mut random = Random::new(seed);
        (0..SIZE).map(|id| Plan::draw(id, &mut random).body().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(1).iter().any(|body| body.contains("Endless")), "long ones are among them");
    assert_eq!(Script::clean(1).fault.failure(), None);
}
