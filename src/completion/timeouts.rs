//! The deadlines of one request at one target.
//!
//! `total` counts from the request's arrival and is shared by all attempts. `first_token` counts from the start of an
//! attempt at a target; `idle` bounds each silence.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Timeouts;
use crate::time::{TaskTimer, timeout_at};
use crate::upstream::{Deadline, Failure};

/// The deadline that comes first, of those that are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    at: Instant,
    deadline: Deadline,
}

impl Limit {
    /// For the first token of an attempt that starts `now`, of a request that arrived at `arrival`. It is longer where
    /// no other target can take over (`another` is false), since a failure would not help the client.
    pub(super) fn to_open(timeouts: &Timeouts, arrival: Instant, now: Instant, another: bool) -> Option<Self> {
        Self::first([
            (Deadline::Total, timeouts.total.map(|total| arrival + total)),
            (Deadline::FirstToken, timeouts.first_token.limit(another).map(|limit| now + limit)),
        ])
    }

    /// For all of the answer.
    pub(super) fn in_all(timeouts: &Timeouts, arrival: Instant) -> Option<Self> {
        Self::first([(Deadline::Total, timeouts.total.map(|total| arrival + total))])
    }

    /// For the next bytes of an answer, from `now` on.
    pub(super) fn to_go_on(timeouts: &Timeouts, arrival: Instant, now: Instant) -> Option<Self> {
        Self::first([
            (Deadline::Total, timeouts.total.map(|total| arrival + total)),
            (Deadline::Idle, timeouts.idle.map(|idle| now + idle)),
        ])
    }

    fn first<const N: usize>(deadlines: [(Deadline, Option<Instant>); N]) -> Option<Self> {
        let set = deadlines.into_iter().filter_map(|(deadline, at)| Some(Self { at: at?, deadline }));
        set.min_by_key(|limit| limit.at)
    }
}

/// Longest silence within a stream; none: no limit. Until its first token, or the end of a choice, a stream may be silent for
/// as long as one that has not begun: many upstreams send a chunk with the role alone before the model has read the prompt.
pub(super) fn longest_silence(timeouts: &Timeouts, has_begun: bool) -> Option<Duration> {
    let idle = timeouts.idle?;
    if has_begun { Some(idle) } else { timeouts.first_token.limit(false).map(|limit| limit.max(idle)) }
}

/// The output of `work`, or [`Failure::Timeout`] if it is not ready by `limit`. `work` is pinned by the caller: such
/// futures are large.
pub(super) async fn within<T, F>(timer: &TaskTimer, limit: Option<Limit>, work: Pin<&mut F>) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    match limit {
        Some(Limit { at, deadline }) => timeout_at(timer, at, work).await.ok_or(Failure::Timeout(deadline))?,
        None => work.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FirstToken;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_deadline_that_comes_first_counts_and_total_counts_from_the_arrival() {
        let arrival = Instant::now();
        let timeouts = Timeouts {
            total: Some(100 * SECOND),
            first_token: FirstToken::Set(Some(30 * SECOND)),
            ..Timeouts::default()
        };
        let at = |now, another| Limit::to_open(&timeouts, arrival, now, another).unwrap();
        let first = at(arrival, true);
        assert_eq!((first.at, first.deadline), (arrival + 30 * SECOND, Deadline::FirstToken));
        let later = at(arrival + 80 * SECOND, true);
        assert_eq!((later.at, later.deadline), (arrival + 100 * SECOND, Deadline::Total));
        let unlimited = Timeouts { total: None, first_token: FirstToken::Set(None), idle: None, ..timeouts };
        assert_eq!(Limit::to_open(&unlimited, arrival, arrival, false), None);
        assert_eq!(Limit::to_go_on(&unlimited, arrival, arrival), None);
    }

    #[test]
    fn a_stream_may_be_silent_as_long_before_its_first_token_as_before_its_first_event() {
        let timeouts = Timeouts::default();
        assert_eq!(longest_silence(&timeouts, true), Some(60 * SECOND));
        assert_eq!(longest_silence(&timeouts, false), Some(600 * SECOND));
        let short = Timeouts { first_token: FirstToken::Set(Some(5 * SECOND)), ..timeouts };
        assert_eq!(longest_silence(&short, false), Some(60 * SECOND), "never less than idle");
        let none = Timeouts { first_token: FirstToken::Set(None), ..timeouts };
        assert_eq!(longest_silence(&none, false), None);
    }
}
