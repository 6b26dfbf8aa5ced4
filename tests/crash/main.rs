//! Crashes: a server with its database in a file, or one or two of several servers behind a balancer
//! (`PETSTREAM_TEST_REPLICAS`), are killed with SIGKILL at random moments and started again, while clients write and
//! subscribe. Afterwards, every write that was answered must have been committed, and every
//! subscriber must have received each committed event once and in order, or a reset and then the state.
//!
//! `CRASH_SEED=n cargo test --test crash` uses another seed. A failure prints its seed.
#![cfg(test)]

mod check;
mod deterministic;
mod history;
mod log;
mod run;
mod shared_state;
mod snapshot;
mod subscriber;
mod writer;

use std::time::{Duration, Instant};

use petstream::wire::event::Topic;
use test_support::{event_stream, test_database};

use check::{States, delivery, log as committed, replica, writes};
use history::Step;
use run::{Outcome, Run};
use subscriber::{Begin, Habit, Way};
use writer::Outcome as Answer;

/// The default seed.
const SEED: u64 = 20_261_127;
/// Longest time of a run; it takes some twenty seconds.
const MOST: Duration = Duration::from_secs(120);
/// Violations that are printed: one fault causes many.
const SHOWN: usize = 20;

const PETS: &[Topic] = &[Topic::Pets];
const ORDERS: &[Topic] = &[Topic::Orders];
const INVENTORY: &[Topic] = &[Topic::Inventory];
const ORDERS_AND_NEWS: &[Topic] = &[Topic::Orders, Topic::Notifications];
const PETS_AND_ORDERS: &[Topic] = &[Topic::Pets, Topic::Orders];

const fn habit(name: &'static str, topics: &'static [Topic], way: Way, begin: Begin) -> Habit {
    Habit { name, topics, way, named: true, begin, leaves: None }
}

const fn restless(restarts: usize, habit: Habit) -> Habit {
    Habit { leaves: Some(restarts), ..habit }
}

fn seed() -> u64 {
    let own = std::env::var("CRASH_SEED").ok();
    own.map_or(SEED, |seed| seed.parse().unwrap_or_else(|e| panic!("CRASH_SEED={seed:?}: {e}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn through_crashes_every_event_arrives_exactly_once() {
    let unnamed = Habit { named: false, ..habit("inventory, unnamed", INVENTORY, Way::Header, Begin::Now) };
    let habits = [
        habit("everything", &Topic::ALL, Way::Header, Begin::Now),
        habit("pets from the first", PETS, Way::Header, Begin::Earliest),
        restless(0, habit("orders and news", ORDERS_AND_NEWS, Way::Query, Begin::Earliest)),
        restless(2, unnamed),
        habit("polls pets and orders", PETS_AND_ORDERS, Way::Poll, Begin::Now),
        habit("polls news", &[Topic::Notifications], Way::Poll, Begin::Earliest),
        habit("pets from their list", PETS, Way::Header, Begin::Snapshot),
        restless(1, habit("pets from their list, restless", PETS, Way::Query, Begin::Snapshot)),
    ];
    let outcome = storm("auth: none\nevents: {heartbeat: 1s, retry: 100ms}\n", seed(), &habits, false).await;
    let resets = outcome.steps(|step| matches!(step, Step::Reset { .. }));
    assert_eq!(resets, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn through_crashes_a_loss_is_reported_by_a_reset_and_the_state_is_readable() {
    // Enough that what the other servers write while one starts, which deletes old events, can be read before.
    let keep = if test_database::replicas() == 1 { 25 } else { 100 };
    let yaml = format!("auth: none\nevents: {{heartbeat: 1s, retry: 100ms, keep_count: {keep}}}\n");
    let habits = [
        restless(2, habit("pets", PETS, Way::Header, Begin::Now)),
        restless(2, habit("pets from their list", PETS, Way::Query, Begin::Snapshot)),
        restless(2, habit("orders", ORDERS, Way::Header, Begin::Earliest)),
        restless(1, habit("everything", &Topic::ALL, Way::Header, Begin::Now)),
        habit("polls inventory", INVENTORY, Way::Poll, Begin::Now),
        restless(3, habit("news", &[Topic::Notifications], Way::Header, Begin::Now)),
    ];
    let outcome = storm(&yaml, seed() + 1, &habits, true).await;
    let resets = outcome.steps(|step| matches!(step, Step::Reset { .. }));
    assert!(resets >= 3, "{resets} resets prove nothing");
}

/// Performs a run, and checks what must hold after each.
async fn storm(yaml: &str, seed: u64, habits: &[Habit], forgets: bool) -> Outcome {
    eprintln!("CRASH_SEED={seed}");
    let began = Instant::now();
    let storm = tokio::time::timeout(MOST, Run::storm(yaml, seed, habits));
    let outcome = storm.await.unwrap_or_else(|_| panic!("the storm of seed {seed} has no end"));
    eprintln!("seed {seed}: {} in {:?}", outcome.tally(), began.elapsed());
    let states = States::of(&outcome.log);
    let mut found = committed::check(&outcome.log);
    found.extend(writes::check(&outcome.log, &outcome.writes));
    found.extend(outcome.store.iter().flat_map(|list| replica::read(&states, list)));
    for history in &outcome.histories {
        found.extend(delivery::check(&outcome.log, history, forgets));
        found.extend(replica::check(&outcome.log, &states, history));
    }
    found.extend(untried(&outcome));
    found.truncate(SHOWN);
    assert!(found.is_empty(), "seed {seed}:\n{}", found.join("\n"));
    outcome
}

/// Situations that did not occur in the run: a run that does not cover them must not pass.
fn untried(outcome: &Outcome) -> Vec<String> {
    let behind = |step: &Step| {
        let Step::Open { asked: Some(asked), resumed: true, head: Some(head), .. } = step else { return false };
        asked != "earliest" && event_stream::seq(asked) < *head
    };
    let pages = |step: &Step| matches!(step, Step::Read(lists) if lists.iter().any(|list| list.pages > 1));
    // One server of several has a part of the streams only.
    let cuts = if test_database::replicas() == 1 { 8 } else { 3 };
    let wanted = [
        ("events by the hundred", outcome.log.events.len() > 300),
        ("streams that are cut", outcome.steps(|step| *step == Step::Cut) > cuts),
        ("a subscriber that disconnects", outcome.steps(|step| *step == Step::Left) > 0),
        ("a subscriber that reconnects to missed events", outcome.steps(behind) > 3),
        ("a list of several pages", outcome.steps(pages) > 0),
        ("a write without an answer", outcome.unanswered() > 0),
        ("a write that is refused", outcome.writes.iter().any(|write| matches!(write.outcome, Answer::Refused(_)))),
    ];
    wanted.iter().filter(|(_, there)| !there).map(|(what, _)| format!("the storm did not bring {what}")).collect()
}
