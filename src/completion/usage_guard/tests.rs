//! What is believed of what an upstream tells, and what is charged in the end.

use proptest::prelude::*;

use super::*;

/// A stream that was sent this many tokens of an estimated prompt of 8.
fn tally(counted: u64, most: u64) -> UsageCounter {
    UsageCounter { prompt_estimate: 8, counted, most, ..UsageCounter::default() }
}

const fn usage(prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, completion_tokens }
}

#[test]
fn zeros_replace_nothing() {
    for zeros in [usage(0, 0), usage(12, 0), usage(0, 34)] {
        let mut tally = tally(1, MAX_TOKENS);
        assert!(tally.tell(usage(12, 34), true) && tally.tell(zeros, true));
        assert_eq!(tally.settled(true, true), (usage(12, 34), Some(Source::Exact)), "{zeros:?}");
    }
    let mut alone = tally(3, MAX_TOKENS);
    assert!(alone.tell(usage(0, 0), true));
    assert_eq!(alone.settled(true, true), (usage(8, 3), Some(Source::Counted)));
    let mut half = tally(3, MAX_TOKENS);
    assert!(half.tell(usage(12, 0), true));
    assert_eq!(half.settled(true, true), (usage(12, 3), Some(Source::Counted)));
    // Nothing was said, and that is what was told.
    let mut empty = tally(0, MAX_TOKENS);
    assert!(empty.tell(usage(12, 0), true));
    assert_eq!(empty.settled(true, true), (usage(12, 0), Some(Source::Exact)));
}

#[test]
fn an_impossible_count_is_not_believed() {
    for (told, most) in [
        (usage(12, u64::from(u32::MAX)), MAX_TOKENS),
        (usage(12, MAX_TOKENS + 1), MAX_TOKENS),
        (usage(MAX_TOKENS + 1, 34), MAX_TOKENS),
        (usage(u64::MAX, u64::MAX), MAX_TOKENS),
        (usage(12, 101), 100),
    ] {
        let mut tally = tally(1, most);
        assert!(!tally.tell(told, true), "{told:?}");
        assert_eq!(tally.settled(true, true), (usage(8, 1), Some(Source::Counted)), "{told:?}");
        // What was told before still holds.
        assert!(tally.tell(usage(12, 34), false) && !tally.tell(told, true));
        assert_eq!(tally.settled(true, false), (usage(12, 34), Some(Source::Running)), "{told:?}");
    }
    let mut all = tally(1, 100);
    assert!(all.tell(usage(MAX_TOKENS, 100), true));
    assert_eq!(all.settled(true, true), (usage(MAX_TOKENS, 100), Some(Source::Exact)));
}

#[test]
fn of_a_stream_that_was_cut_the_larger_count_holds() {
    for (told, counted, settled) in [
        (usage(12, 3), 5, (usage(12, 5), Some(Source::Counted))),
        (usage(12, 7), 5, (usage(12, 7), Some(Source::Running))),
        (usage(12, 5), 5, (usage(12, 5), Some(Source::Running))),
    ] {
        let mut tally = tally(counted, MAX_TOKENS);
        assert!(tally.tell(told, false));
        assert_eq!(tally.settled(true, false), settled, "{told:?}");
        assert_eq!(tally.so_far(), settled.0.prompt_tokens + settled.0.completion_tokens);
        // One that is complete is what its upstream says.
        tally.usage_is_final = true;
        assert_eq!(tally.settled(true, true), (told, Some(Source::Exact)));
    }
}

#[test]
fn an_estimate_is_no_more_than_was_asked_for() {
    assert_eq!(tally(75, 16).settled(false, true), (usage(8, 16), Some(Source::Estimated)));
    assert_eq!(tally(75, 16).settled(true, true), (usage(8, 75), Some(Source::Counted)));
}

proptest! {
    #[test]
    fn whatever_is_told_counts_stay_sane(
        told in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..6),
        counted in any::<u64>(), streamed in any::<bool>(), complete in any::<bool>(),
    ) {
        let mut tally = tally(counted, MAX_TOKENS);
        for (prompt, completion, is_final) in told {
            tally.tell(usage(prompt, completion), is_final);
        }
        let (used, source) = tally.settled(streamed, complete);
        prop_assert!(used.prompt_tokens <= MAX_TOKENS);
        prop_assert!(used.completion_tokens <= MAX_TOKENS.max(counted));
        prop_assert!(source.is_some());
        prop_assert!(tally.so_far() >= used.prompt_tokens);
    }
}
