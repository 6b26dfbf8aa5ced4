//! Upstreams, and the records of completions.

use petstream::config::Limits;

use super::Number::{Constant, Setting};
use super::{Driver, driver};

const MIB: u64 = 1 << 20;

pub(super) fn upstreams() -> Vec<Driver> {
    let limits = Limits::default();
    vec![
        driver(
            "a frame of an upstream; its plain answer; its head; its error",
            [
                ("8 MiB", Setting(limits.frame as u64 == 8 * MIB)),
                ("32 MiB", Setting(limits.answer as u64 == 32 * MIB)),
                ("64 KiB", Constant("src/http/client/response_head.rs", "const MAX_HEAD: usize = 64 * 1024;")),
                ("64 KiB", Constant("src/completion/error_response.rs", "const MAX_ERROR_LEN: usize = 64 * 1024;")),
            ],
            &[
                ("tests/it/faults/endings.rs", "a_frame_over_the_limit"),
                ("tests/it/proxy/refusals.rs", "a_plain_answer_or_a_head_that_is_too_long"),
                ("tests/it/bounds/upstreams.rs", "the_text_of_an_error_over_64_kib_is_left_out"),
            ],
        ),
        driver(
            "chunks held back before the first token",
            [
                ("16", Constant("src/completion/open.rs", "const MAX_HELD: usize = 16;")),
                ("one `frame` in all", Constant("src/completion/open.rs", "self.held_back() > most")),
            ],
            &[("tests/it/bounds/upstreams.rs", "sixteen_chunks_or_one_frame_without_a_token_begin_the_stream")],
        ),
        driver(
            "chunks of later choices, held back until the earlier ones have begun",
            [
                ("256,", Constant("src/completion/choices.rs", "const MAX_HELD: usize = 256;")),
                ("256 KiB", Constant("src/completion/choices.rs", "const MAX_HELD_BYTES: usize = 256 * 1024;")),
            ],
            &[("tests/it/bounds/upstreams.rs", "later_choices_wait_for_earlier_ones_up_to_256_chunks_or_256_kib")],
        ),
        driver(
            "what is kept of a stream that is translated until its end; its tool calls; its open blocks",
            [
                ("32 MiB", Setting(limits.answer as u64 == 32 * MIB)),
                ("128", Constant("src/wire/translation/calls.rs", "const MAX_CALLS: u64 = 128;")),
                ("64", Constant("src/wire/messages/from_chat/stream.rs", "const MAX_OPEN: usize = 64;")),
            ],
            &[
                ("tests/it/bounds/upstreams.rs", "of_a_translated_stream_no_more_is_kept_than_of_a_plain_answer"),
                ("src/wire/translation/calls.rs", "calls_without_a_number_are_told_apart_by_their_ids"),
                ("src/wire/messages/from_chat/tests.rs", "what_is_kept_is_bounded"),
            ],
        ),
        driver(
            "list of models of the upstream of `*`",
            [("4 MiB", Constant("src/upstream/models.rs", "const MAX_LIST_LEN: usize = 4 * 1024 * 1024;"))],
            &[("tests/it/proxy/models.rs", "a_list_of_more_than_4_mib_is_left_out")],
        ),
        driver(
            "idle connections to an upstream",
            [("256", Constant("src/http/client/pool.rs", "const MAX_IDLE: usize = 256;"))],
            &[("tests/it/bounds/upstreams.rs", "at_most_256_connections_to_an_upstream_are_kept_idle")],
        ),
    ]
}

pub(super) fn records() -> Vec<Driver> {
    vec![
        driver(
            "usage records in the queue for the database",
            [
                ("65,536", Constant("src/usage/recorder.rs", "const MAX_QUEUED: usize = 65_536;")),
                ("30 MB", Constant("src/usage/recorder.rs", "about 30 MB")),
            ],
            &[
                ("src/usage/tests.rs", "the_queue_holds_65536_records_and_the_lost_ones_are_logged_once_a_second"),
                ("src/usage/tests.rs", "a_full_queue_drops_and_counts_and_the_rest_is_written"),
                ("src/telemetry/metrics/tests.rs", "every_name_and_type_is_as_documented"),
            ],
        ),
        driver(
            "cached series of usage records",
            [("65,536", Constant("src/store/usage/series.rs", "const MAX_CACHED: usize = 65_536;"))],
            &[
                ("src/store/usage/series.rs", "the_cache_is_bounded_and_keeps_series_of_today_longest"),
                ("src/store/usage/tests/kept.rs", "a_series_that_left_the_cache_is_written_again_and_counted_as_one"),
            ],
        ),
        driver(
            "recent completions; samples",
            [
                ("100", Constant("src/usage/recent.rs", "pub const MAX_RECENT: usize = 100;")),
                ("five minutes", Constant("src/telemetry/samples.rs", "const MAX_SAMPLES: usize = 300;")),
            ],
            &[
                ("tests/it/bounds/store.rs", "the_last_100_completions_are_listed"),
                ("src/telemetry/samples.rs", "only_the_last_five_minutes_are_kept"),
            ],
        ),
        driver(
            "labels of metrics",
            [
                ("256 models", Constant("src/telemetry/metrics/handle.rs", "const MAX_MODELS: usize = 256;")),
                ("64 upstreams", Constant("src/telemetry/metrics/model.rs", "const MAX_TARGETS: usize = 64;")),
                ("64 routes", Constant("src/telemetry/metrics/handle.rs", "const MAX_ROUTES: usize = 64;")),
                ("48 pairs", Constant("src/telemetry/metrics/route.rs", "const MAX_PAIRS: usize = 48;")),
                ("24 outcomes", Constant("src/telemetry/metrics/target.rs", "const MAX_OUTCOMES: usize = 24;")),
                ("16 pairs", Constant("src/telemetry/metrics/handle.rs", "const MAX_REFUSALS: usize = 16;")),
                ("8 reasons", Constant("src/telemetry/metrics/handle.rs", "const MAX_ENGINE_REFUSALS: usize = 8;")),
                ("8 results", Constant("src/telemetry/metrics/redis.rs", "const MAX_RESULTS: usize = 8;")),
            ],
            &[
                ("src/telemetry/metrics/tests.rs", "each_label_has_a_bounded_number_of_values_and_one_for_all_others"),
                ("src/telemetry/metrics/tests.rs", "the_number_of_series_is_bounded"),
                ("src/telemetry/metrics/tests.rs", "redis_has_metrics_once_it_is_used"),
            ],
        ),
        driver(
            "log lines in the queue for stderr",
            [("1 MiB", Constant("src/telemetry/log/writer.rs", "const MAX_PENDING: usize = 1 << 20;"))],
            &[
                ("src/telemetry/log/writer/tests.rs", "a_stopped_reader_loses_lines_that_are_counted_in_their_place"),
                ("tests/process/log.rs", "a_full_log_pipe_blocks_no_request_and_dropped_lines_are_reported"),
            ],
        ),
    ]
}
