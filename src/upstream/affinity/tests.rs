//! Properties of the choice for a session.

use super::*;
use proptest::prelude::*;

const NAMES: [&str; 6] = ["http://a/v1#m", "http://b/v1#m", "http://c/v1#m", "http://d/v1#m", "http://e/v1#m", "f"];

/// Idle targets with these weights.
fn idle(weights: &[u32]) -> Vec<Candidate<'static>> {
    let candidate = |(member, weight): (usize, &u32)| Candidate {
        member,
        name: NAMES[member],
        weight: NonZeroU32::new(*weight).unwrap(),
        in_flight: 0,
    };
    weights.iter().enumerate().map(candidate).collect()
}

fn session(seed: u64) -> SessionKey {
    SessionKey::new(xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()))
}

/// Within its bound after a request was added: 5/4 of its share of all, and the spare ones, rounded up.
fn is_within_bound(tier: &[Candidate<'_>], added: usize) -> bool {
    let [requests, weights] = [
        tier.iter().map(|target| u64::from(target.in_flight)).sum::<u64>(),
        tier.iter().map(|target| u64::from(target.weight.get())).sum(),
    ];
    let share = 1.25 * requests as f64 * f64::from(tier[added].weight.get()) / weights as f64;
    f64::from(tier[added].in_flight) < share + 5.0
}

#[test]
fn the_choice_of_some_sessions_is_known() {
    // The same on all machines and in all versions: otherwise replicas would disagree while they are replaced.
    let chosen: Vec<_> = (0..12).filter_map(|seed| SessionKey::new(seed).choose(&idle(&[1, 1, 1]))).collect();
    assert_eq!(chosen, [0, 0, 2, 2, 1, 2, 1, 2, 2, 1, 0, 0]);
}

#[test]
fn sessions_are_spread_by_weight() {
    let mut counts = [0_u32; 3];
    for seed in 0..6000 {
        counts[session(seed).choose(&idle(&[1, 2, 3])).unwrap()] += 1;
    }
    for (count, expected) in counts.into_iter().zip([1000, 2000, 3000]) {
        assert!(count.abs_diff(expected) < 150, "{counts:?}");
    }
}

#[test]
fn few_requests_of_one_session_share_a_target_and_many_are_spread() {
    let mut tier = idle(&[1, 1, 1]);
    let preferred = session(7).choose(&tier).unwrap();
    for added in 0..300 {
        let chosen = session(7).choose(&tier).unwrap();
        assert!(added >= 5 || chosen == preferred, "request {added}");
        tier[chosen].in_flight += 1;
    }
    let most = tier.iter().map(|target| target.in_flight).max().unwrap();
    assert_eq!((tier[preferred].in_flight, most), (129, 129), "5/4 of a third, and four");
}

proptest! {
    #[test]
    fn without_load_a_session_has_one_target(weights in prop::collection::vec(1_u32..1000, 1..7), seed: u64) {
        let tier = idle(&weights);
        let chosen = session(seed).choose(&tier);
        prop_assert!(chosen.is_some());
        // Neither the order nor requests within the spare ones matter.
        let mut other = tier;
        other.reverse();
        other.iter_mut().for_each(|target| target.in_flight = 4);
        prop_assert_eq!(session(seed).choose(&other), chosen);
    }

    #[test]
    fn a_target_that_goes_moves_its_own_sessions_only(
        weights in prop::collection::vec(1_u32..1000, 2..7),
        gone: prop::sample::Index,
        seed: u64,
    ) {
        let mut tier = idle(&weights);
        let before = session(seed).choose(&tier).unwrap();
        let gone = tier.remove(gone.index(weights.len())).member;
        let after = session(seed).choose(&tier).unwrap();
        prop_assert!(after != gone && (before == gone || before == after));
    }

    #[test]
    fn the_bound_holds_for_any_sequence(
        weights in prop::collection::vec(1_u32..20, 1..7),
        steps in prop::collection::vec((0_u64..8, any::<Option<prop::sample::Index>>()), 1..300),
    ) {
        let mut tier = idle(&weights);
        let mut running = Vec::new();
        for (seed, ends) in steps {
            // A request begins, and then another one may end.
            let chosen = session(seed).choose(&tier);
            prop_assert!(chosen.is_some());
            let chosen = chosen.unwrap();
            tier[chosen].in_flight += 1;
            running.push(chosen);
            prop_assert!(is_within_bound(&tier, chosen), "{:?} {}", tier, chosen);
            if let Some(ends) = ends {
                let ended = running.swap_remove(ends.index(running.len()));
                tier[ended].in_flight -= 1;
            }
        }
    }
}
