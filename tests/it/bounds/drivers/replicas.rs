//! What replicas share.

use super::Number::Constant;
use super::{Driver, driver};

/// Rate limits.
pub(super) fn limits() -> Vec<Driver> {
    vec![
        driver(
            "limits that wait for an exchange with Redis; the wait of a request for it",
            [
                ("4,096", Constant("src/limiter/shared/shared_limits.rs", "const MAX_QUEUED: usize = 4_096;")),
                ("50 ms", Constant("src/limiter/blocked.rs", "const MAX_WAIT: Duration = Duration::from_millis(50);")),
            ],
            &[
                (
                    "src/limiter/shared/simulation/sharing.rs",
                    "requests_that_would_need_more_exchanges_than_can_wait_are_refused",
                ),
                ("src/limiter/shared/simulation/faults.rs", "a_redis_that_hangs_is_waited_for_once"),
            ],
        ),
        driver(
            "exchanges of limits with Redis in the background, each second",
            [("5,000", Constant("src/limiter/shared/exchanger.rs", "const MAX_DUE: usize = 5_000;"))],
            &[(
                "src/limiter/shared/simulation/streams.rs",
                "streams_of_more_keys_than_are_reported_in_a_second_stay_counted",
            )],
        ),
    ]
}

/// The connection, heartbeats and notifications.
pub(super) fn redis() -> Vec<Driver> {
    vec![
        driver(
            "calls of Redis that wait for an answer; the time of each",
            [
                ("1,024", Constant("src/shared/redis/client.rs", "const MAX_CALLS: usize = 1_024;")),
                (
                    "50 ms",
                    Constant(
                        "src/shared/redis/connection.rs",
                        "pub const CALL_TIMEOUT: Duration = Duration::from_millis(50);",
                    ),
                ),
            ],
            &[
                (
                    "tests/replicas/redis.rs",
                    "many_calls_at_once_do_not_wait_longer_for_a_stalled_redis_and_are_bounded",
                ),
                ("tests/replicas/redis.rs", "while_redis_is_stalled_calls_fail_in_time_and_then_at_once"),
            ],
        ),
        driver(
            "replicas whose samples Redis keeps; each sample",
            [
                ("64", Constant("src/shared/replicas.rs", "const MAX_SAMPLES: usize = 64;")),
                ("8 KiB", Constant("src/shared/replicas.rs", "const MAX_SAMPLE_LEN: usize = 8 * 1024;")),
            ],
            &[("tests/replicas/heartbeats.rs", "at_most_64_replicas_have_samples_of_at_most_8_kib")],
        ),
        driver(
            "commit notifications of a replica; reads of the log because of others'",
            [
                (
                    "50",
                    Constant("src/shared/notifications.rs", "const INTERVAL: Duration = Duration::from_millis(20);"),
                ),
                (
                    "50",
                    Constant("src/shared/notifications.rs", "const INTERVAL: Duration = Duration::from_millis(20);"),
                ),
            ],
            &[(
                "tests/replicas/notifications.rs",
                "commits_in_quick_succession_are_published_and_read_50_times_a_second",
            )],
        ),
    ]
}
