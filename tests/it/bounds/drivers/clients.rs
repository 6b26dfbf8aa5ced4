//! Requests of clients, and their connections.

use std::time::Duration;

use petstream::config::{Limits, RateLimits};

use super::Number::{Constant, Setting};
use super::{Driver, driver};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

pub(super) fn requests() -> Vec<Driver> {
    let limits = Limits::default();
    let small = Limits { bodies_total: limits.body, ..limits };
    vec![
        driver(
            "buffers of request bodies (a body of up to 8 KiB in one piece is not counted)",
            [
                ("512 MiB", Setting(limits.bodies_total == 512 * MIB)),
                ("a quarter", Setting(limits.bodies_of_a_key() * 4 == limits.bodies_total)),
                ("at least one `body`", Setting(small.bodies_of_a_key() == small.body)),
            ],
            &[
                ("tests/it/key_shares/uploads.rs", "bodies_that_do_not_fit_into_memory_together_are_refused"),
                (
                    "tests/it/key_shares/uploads.rs",
                    "five_stalled_uploads_of_one_key_leave_memory_for_others_and_are_aborted",
                ),
                ("src/api/body.rs", "a_large_body_is_counted_with_its_buffer_and_a_small_one_is_not"),
            ],
        ),
        driver(
            "computations of long requests (JSON over 256 KiB, prompts of the local model), running and waiting",
            [
                ("256", Constant("src/offload.rs", "pub const MAX_QUEUED: u64 = 256;")),
                ("64", Constant("src/offload.rs", "pub const MAX_QUEUED_PER_KEY: u64 = 64;")),
            ],
            &[
                ("tests/it/key_shares/computations.rs", "long_requests_of_one_key_beyond_64_are_refused"),
                ("src/offload.rs", "the_queue_is_bounded_in_total_and_for_each_owner"),
                ("src/error/openai.rs", "a_full_queue_of_computations_is_503_and_a_full_share_429"),
            ],
        ),
        driver(
            "time of a body",
            [
                ("500 bytes/s", Setting(limits.body_rate == 500)),
                ("each 30 s", Setting(limits.body_read == Duration::from_secs(30))),
                ("10 min", Setting(limits.body_time == Duration::from_secs(600))),
            ],
            &[
                ("src/api/body.rs", "a_body_that_stalls_before_its_end_is_given_up_however_much_has_come"),
                ("src/api/body.rs", "a_body_has_only_so_much_time_in_all"),
                ("tests/it/contract_errors.rs", "a_body_that_stops_arriving_is_answered"),
            ],
        ),
    ]
}

pub(super) fn answers() -> Vec<Driver> {
    let limits = Limits::default();
    let small = Limits { answers_total: limits.answer as u64, ..limits };
    vec![
        driver(
            "large pieces of answers (over 64 KiB: frames, plain answers), from collection to their last byte",
            [
                ("512 MiB", Setting(limits.answers_total == 512 * MIB)),
                ("a quarter", Setting(limits.answers_of_a_key() * 4 == limits.answers_total)),
                ("at least one `answer` or `frame`", Setting(small.answers_of_a_key() == small.answer as u64)),
            ],
            &[
                (
                    "tests/it/key_shares/slow.rs",
                    "large_frames_of_slow_readers_are_bounded_and_those_that_were_taken_arrive_whole",
                ),
                (
                    "tests/it/key_shares/slow.rs",
                    "large_plain_answers_of_slow_readers_are_bounded_and_those_that_were_taken_arrive_whole",
                ),
                ("tests/it/key_shares/slow.rs", "large_answers_of_all_callers_together_are_bounded"),
                ("src/completion/memory.rs", "bytes_are_counted_until_the_last_reference_is_dropped"),
            ],
        ),
        driver(
            "requests, tokens a minute, streams at once",
            [(
                "not limited | not limited",
                Setting(limits.total == RateLimits::default() && limits.per_key == RateLimits::default()),
            )],
            &[
                ("tests/it/limits.rs", "requests_a_minute"),
                ("tests/it/limits.rs", "a_request_larger_than_the_whole_limit_is_refused_without_retry_after"),
                ("tests/it/limits.rs", "streams_at_once_are_freed_by_their_end"),
                ("tests/it/limits.rs", "streams_at_once_are_freed_by_a_client_that_leaves"),
                ("tests/it/limits.rs", "unlimited_keys_get_no_rate_limit_headers"),
                ("src/limiter/tests.rs", "the_total_holds_for_all_keys_and_a_key_over_its_limit_takes_nothing_from_it"),
            ],
        ),
        driver(
            "state of rate limits",
            [],
            &[("src/limiter/tests.rs", "idle_keys_are_forgotten_and_busy_ones_are_not")],
        ),
    ]
}

pub(super) fn connections() -> Vec<Driver> {
    let limits = Limits::default();
    vec![
        driver(
            "connections",
            [("20,000", Setting(limits.connections == 20_000))],
            &[
                ("tests/it/contract_errors.rs", "connections_beyond_the_limit_wait_their_turn"),
                ("tests/it/contract_errors.rs", "a_slow_request_head_is_answered_at_its_timeout"),
                ("tests/it/connections.rs", "a_kept_connection_may_be_silent_for_longer_than_a_first_head"),
                ("tests/it/connections.rs", "a_kept_connection_that_stays_silent_is_closed"),
            ],
        ),
        driver(
            "connections to the listener of `metrics`",
            [("64", Constant("src/app/start.rs", "const MAX_METRICS_CONNECTIONS: usize = 64;"))],
            &[("tests/it/bounds/connections.rs", "connections_to_the_metrics_beyond_64_wait_their_turn")],
        ),
        driver(
            "a request's head",
            [
                ("64 KiB", Setting(limits.head as u64 == 64 * KIB)),
                ("100 fields", Constant("src/http/server/request_head.rs", "const MAX_HEADERS: usize = 100;")),
            ],
            &[
                ("tests/it/bounds/connections.rs", "a_head_has_at_most_64_kib_and_100_fields"),
                ("tests/it/contract_errors.rs", "a_head_over_the_limit_is_refused"),
            ],
        ),
        driver(
            "bytes read ahead of a request; bytes written ahead of a reader",
            [("16 KiB", Constant("src/http/server/connection.rs", "const MAX_READ_AHEAD: usize = 16 * 1024;"))],
            &[
                ("src/http/server/tests/buffers.rs", "at_most_16_kib_and_one_read_are_buffered_behind_a_request"),
                (
                    "src/http/server/tests/buffers.rs",
                    "at_most_16_kib_and_one_piece_of_a_body_are_written_ahead_of_a_reader",
                ),
                (
                    "src/http/server/tests/early_close.rs",
                    "pipelined_requests_beyond_the_read_ahead_limit_wait_in_the_kernel_and_are_served",
                ),
                (
                    "src/http/server/tests/early_close.rs",
                    "bytes_beyond_the_read_ahead_limit_are_discarded_if_the_response_ends_with_the_client",
                ),
            ],
        ),
        driver(
            "buffers that a thread keeps for its connections",
            [
                ("16 of", Constant("src/http/codec/buffer_pool.rs", "const MAX_POOLED: usize = 16;")),
                ("8 to", Constant("src/http/codec/buffer_pool.rs", "const BUFFER_SIZE: usize = 8 * 1024;")),
                (
                    "16 KiB",
                    Constant("src/http/codec/buffer_pool.rs", "const MAX_BUFFER_SIZE: usize = 2 * BUFFER_SIZE;"),
                ),
            ],
            &[("src/http/codec/buffer_pool.rs", "the_pool_is_bounded_and_takes_no_large_buffers")],
        ),
    ]
}

pub(super) fn control() -> Vec<Driver> {
    vec![
        driver(
            "a header of the PROXY protocol; the time of it and of the TLS handshake",
            [
                ("4 KiB", Constant("src/app/listen/proxy_protocol.rs", "const MAX_HEADER_LEN: usize = 4 * 1024;")),
                ("10 s", Setting(Limits::default().header_read == Duration::from_secs(10))),
            ],
            &[
                ("tests/it/listeners.rs", "the_proxy_protocol_names_the_client_for_the_throttle_of_wrong_keys"),
                ("tests/it/tls_listeners.rs", "a_connection_that_does_not_begin_in_time_is_closed_without_an_answer"),
            ],
        ),
        driver(
            "connections to the control socket; a line there; the time of it",
            [
                ("4;", Constant("src/app/control.rs", "const MAX_CONNECTIONS: usize = 4;")),
                ("4 KiB", Constant("src/app/control.rs", "const MAX_LINE: u64 = 4 * 1024;")),
                ("2 s", Constant("src/app/control.rs", "const IO_TIMEOUT: Duration = Duration::from_secs(2);")),
            ],
            &[("tests/process/reload.rs", "clients_that_say_nothing_do_not_keep_others_from_the_socket")],
        ),
        driver(
            "errors of the configuration that the page shows",
            [("20", Constant("src/telemetry/configuration.rs", "const MAX_ERRORS: usize = 20;"))],
            &[("src/telemetry/configuration.rs", "the_first_20_errors_are_kept_and_all_are_counted")],
        ),
    ]
}

pub(super) fn authentication() -> Vec<Driver> {
    vec![
        driver(
            "addresses with failed authentication",
            [("65,536", Constant("src/middleware/authenticator.rs", "const MAX_ADDRESSES: usize = 65_536;"))],
            &[
                ("src/middleware/authenticator.rs", "addresses_beyond_65536_share_one_entry_until_others_are_idle"),
                ("src/middleware/authenticator.rs", "an_ipv6_host_is_counted_with_its_network"),
            ],
        ),
        driver(
            "delayed answers to failed authentication, 1 s each",
            [("256", Constant("src/middleware/authenticator.rs", "const MAX_DELAYED: usize = 256;"))],
            &[
                ("tests/it/keys.rs", "the_queue_of_delayed_failures_is_bounded"),
                ("src/middleware/authenticator.rs", "a_failure_is_refused_while_too_many_are_delayed"),
            ],
        ),
    ]
}
