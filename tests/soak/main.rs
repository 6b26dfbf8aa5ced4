//! The executable under mixed traffic for a chosen time: completions with faults on both sides, the local model,
//! changes of the store, event streams and polls, aborted and malformed requests, floods over the limits. After each
//! round, records, metrics and deliveries must agree with the traffic; after the last, memory, descriptors and
//! threads must be back at the level after the first rounds.
//!
//! `SOAK_MINUTES` sets the time; without it there are two rounds, which test the soak itself. `SOAK_SEED` sets the
//! seed. A failure prints its seed. The completions and their checks are those of `tests/storm`.
#![cfg(test)]

mod events;
mod fixture;
mod flood;
mod local;
mod resources;

use std::time::{Duration, Instant};

use fixture::Fixture;
use resources::Resources;

/// The default seed.
const SEED: u64 = 20_261_130;
/// Rounds before the measurement, in which pools, caches and the allocator fill up.
const WARM_UP: usize = 1;
/// Longest time of a round; it takes ten to twenty seconds.
const MOST: Duration = Duration::from_secs(180);
/// Violations that are printed: one fault causes many.
const SHOWN: usize = 20;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}={text:?}: {e}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_mixed_traffic_records_agree_and_resources_return() {
    let (seed, minutes) = (number("SOAK_SEED").unwrap_or(SEED), number("SOAK_MINUTES").unwrap_or(0));
    let (began, length) = (Instant::now(), Duration::from_secs(60 * minutes));
    let mut fixture = Fixture::start().await;
    let mut warm: Option<Resources> = None;
    for round in 0.. {
        let seed = seed + round as u64;
        let (time, tally, found) = {
            let began = Instant::now();
            let ended = tokio::time::timeout(MOST, fixture.round(round, seed)).await;
            let (tally, found) = ended.unwrap_or_else(|_| panic!("round {round} of seed {seed} has no end"));
            (began.elapsed(), tally, found)
        };
        let shown: Vec<_> = found.into_iter().take(SHOWN).collect();
        assert!(shown.is_empty(), "round {round}, seed {seed}:\n{}", shown.join("\n"));
        let now = fixture.settled(warm.as_ref()).await;
        eprintln!("round {round} in {:.1} s: {tally}; then {now}", time.as_secs_f64());
        if round + 1 == WARM_UP {
            warm = Some(now);
        } else if round + 1 > WARM_UP && began.elapsed() >= length {
            let found = now.compare(warm.as_ref().unwrap());
            assert!(found.is_empty(), "after {round} rounds: {}", found.join("; "));
            break;
        }
    }
    fixture.stop().await;
}
