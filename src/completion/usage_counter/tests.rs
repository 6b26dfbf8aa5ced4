//! Which of an upstream's counts are accepted, and what is charged at the end.

use proptest::prelude::*;

use super::*;

/// A stream that was sent this many tokens of an estimated prompt of 8.
fn counter(counted: u64, most: u64) -> UsageCounter {
    UsageCounter { prompt_estimate: 8, counted, max_completion: most, ..UsageCounter::default() }
}

const fn usage(prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, completion_tokens }
}

#[test]
fn zeros_replace_nothing() {
    for zeros in [usage(0, 0), usage(12, 0), usage(0, 34)] {
        let mut counter = counter(1, MAX_TOKENS);
        assert!(counter.report(usage(12, 34), true) && counter.report(zeros, true));
        assert_eq!(counter.settled(true, true), (usage(12, 34), Some(Source::Exact)), "{zeros:?}");
    }
    let mut alone = counter(3, MAX_TOKENS);
    assert!(alone.report(usage(0, 0), true));
    assert_eq!(alone.settled(true, true), (usage(8, 3), Some(Source::Counted)));
    let mut half = counter(3, MAX_TOKENS);
    assert!(half.report(usage(12, 0), true));
    assert_eq!(half.settled(true, true), (usage(12, 3), Some(Source::Counted)));
    // No tokens were generated, as reported.
    let mut empty = counter(0, MAX_TOKENS);
    assert!(empty.report(usage(12, 0), true));
    assert_eq!(empty.settled(true, true), (usage(12, 0), Some(Source::Exact)));
}

#[test]
fn an_impossible_count_is_not_accepted() {
    for (reported, most) in [
        (usage(12, u64::from(u32::MAX)), MAX_TOKENS),
        (usage(12, MAX_TOKENS + 1), MAX_TOKENS),
        (usage(MAX_TOKENS + 1, 34), MAX_TOKENS),
        (usage(u64::MAX, u64::MAX), MAX_TOKENS),
        (usage(12, 101), 100),
    ] {
        let mut counter = counter(1, most);
        assert!(!counter.report(reported, true), "{reported:?}");
        assert_eq!(counter.settled(true, true), (usage(8, 1), Some(Source::Counted)), "{reported:?}");
        // The earlier report still holds.
        assert!(counter.report(usage(12, 34), false) && !counter.report(reported, true));
        assert_eq!(counter.settled(true, false), (usage(12, 34), Some(Source::Running)), "{reported:?}");
    }
    let mut all = counter(1, 100);
    assert!(all.report(usage(MAX_TOKENS, 100), true));
    assert_eq!(all.settled(true, true), (usage(MAX_TOKENS, 100), Some(Source::Exact)));
}

#[test]
fn the_larger_count_holds_for_an_interrupted_stream() {
    for (reported, counted, settled) in [
        (usage(12, 3), 5, (usage(12, 5), Some(Source::Counted))),
        (usage(12, 7), 5, (usage(12, 7), Some(Source::Running))),
        (usage(12, 5), 5, (usage(12, 5), Some(Source::Running))),
    ] {
        let mut counter = counter(counted, MAX_TOKENS);
        assert!(counter.report(reported, false));
        assert_eq!(counter.settled(true, false), settled, "{reported:?}");
        assert_eq!(counter.total(), settled.0.prompt_tokens + settled.0.completion_tokens);
        // For a complete one, the upstream's report holds.
        counter.usage_is_final = true;
        assert_eq!(counter.settled(true, true), (reported, Some(Source::Exact)));
    }
}

#[test]
fn an_estimate_is_at_most_the_requested_maximum() {
    assert_eq!(counter(75, 16).settled(false, true), (usage(8, 16), Some(Source::Estimated)));
    assert_eq!(counter(75, 16).settled(true, true), (usage(8, 75), Some(Source::Counted)));
}

proptest! {
    #[test]
    fn whatever_is_reported_counts_stay_sane(
        reported in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..6),
        counted in any::<u64>(), streamed in any::<bool>(), complete in any::<bool>(),
    ) {
        let mut counter = counter(counted, MAX_TOKENS);
        for (prompt, completion, is_final) in reported {
            counter.report(usage(prompt, completion), is_final);
        }
        let (used, source) = counter.settled(streamed, complete);
        prop_assert!(used.prompt_tokens <= MAX_TOKENS);
        prop_assert!(used.completion_tokens <= MAX_TOKENS.max(counted));
        prop_assert!(source.is_some());
        prop_assert!(counter.total() >= used.prompt_tokens);
    }
}
