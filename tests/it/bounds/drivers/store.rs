//! Events, pets and orders.

use std::time::Duration;

use petstream::config::{EventsConfig, PetStoreConfig};

use super::Number::{Constant, Setting};
use super::{Driver, driver};

pub(super) fn browsers() -> Vec<Driver> {
    let events = EventsConfig::default();
    vec![
        driver(
            "event streams and long polls",
            [
                ("15,000", Setting(events.subscribers == 15_000)),
                ("three quarters", Setting(events.subscribers_of_a_key() * 4 == events.subscribers * 3)),
            ],
            &[
                ("tests/events/overload.rs", "a_subscriber_over_the_limit_gets_a_stream_with_retry_only"),
                ("tests/events/overload.rs", "one_key_cannot_use_up_the_subscriptions_of_another"),
            ],
        ),
        driver(
            "unused tickets, 30 s each",
            [
                ("10,000", Constant("src/auth/sessions.rs", "const MAX_TICKETS: u64 = 10_000;")),
                ("2,500", Constant("src/auth/sessions.rs", "const MAX_TICKETS_OF_A_KEY: u64 = 2_500;")),
            ],
            &[
                ("tests/it/bounds/browsers.rs", "unused_tickets_are_bounded_for_each_key_and_in_total"),
                ("src/auth/sessions.rs", "an_expired_ticket_no_longer_counts"),
            ],
        ),
        driver(
            "browser sessions, 12 h each",
            [
                ("100,000", Constant("src/auth/sessions.rs", "const MAX_SESSIONS: u32 = 100_000;")),
                ("20,000", Constant("src/auth/sessions.rs", "const MAX_SESSIONS_OF_A_KEY: u32 = 20_000;")),
            ],
            &[
                ("tests/it/bounds/browsers.rs", "one_session_more_ends_the_oldest_of_its_key_or_of_all"),
                ("src/store/sessions.rs", "a_session_ends_and_the_number_of_sessions_is_bounded"),
            ],
        ),
    ]
}

pub(super) fn event_log() -> Vec<Driver> {
    let events = EventsConfig::default();
    vec![
        driver(
            "events that can be replayed",
            [
                ("100,000", Setting(events.keep_count == 100_000)),
                ("24 h", Setting(events.keep == Duration::from_secs(24 * 60 * 60))),
            ],
            &[
                ("tests/events/replay.rs", "events_beyond_the_configured_number_are_deleted_and_their_readers_reset"),
                ("src/events/retention.rs", "excess_events_are_deleted_in_batches_and_the_rest_stays"),
                ("src/store/event_log.rs", "pruning_deletes_the_oldest_events_and_numbers_are_not_reused"),
            ],
        ),
        driver(
            "newest events in memory",
            [
                ("4,096", Constant("src/events/ring.rs", "const MAX_EVENTS: usize = 4096;")),
                ("16 MiB", Constant("src/events/ring.rs", "const MAX_BYTES: usize = 16 << 20;")),
            ],
            &[
                ("src/events/ring.rs", "the_ring_holds_4096_events"),
                ("src/events/ring.rs", "the_ring_holds_16_mib_or_the_newest_event"),
                ("src/events/subscription.rs", "two_subscribers_read_the_log_at_the_same_time_and_others_wait"),
                ("src/events/tests.rs", "a_reader_that_lags_behind_the_ring_reads_the_log"),
            ],
        ),
        driver(
            "events written to one reader at once",
            [("32 KiB", Constant("src/events/ring.rs", "const MAX_READ_BYTES: usize = 32 << 10;"))],
            &[
                ("src/events/ring.rs", "one_read_ends_after_32_kib_and_one_event"),
                ("src/events/subscription.rs", "one_read_of_the_log_ends_after_32_kib_and_one_event"),
                ("tests/events/replay.rs", "a_slow_reader_gets_everything_at_its_own_pace"),
            ],
        ),
        driver(
            "a page of events, or of pets and orders",
            [
                ("1 MiB", Constant("src/api/events/poll.rs", "const MAX_BYTES: usize = 1 << 20;")),
                ("32 KiB", Constant("src/events/ring.rs", "const MAX_READ_BYTES: usize = 32 << 10;")),
                ("100", Constant("src/api/pagination.rs", "const MAX_LIMIT: u32 = 100;")),
            ],
            &[
                ("tests/events/polling.rs", "a_page_is_bounded_in_bytes_too"),
                ("tests/events/polling.rs", "a_page_of_events_that_have_left_the_memory_is_bounded_in_bytes_too"),
                ("tests/it/bounds/store.rs", "a_page_has_at_most_100_pets_or_orders"),
                ("tests/events/overload.rs", "a_reader_that_takes_nothing_is_closed"),
            ],
        ),
    ]
}

pub(super) fn pets() -> Vec<Driver> {
    let store = PetStoreConfig::default();
    vec![
        driver(
            "pets",
            [("10,000", Setting(store.pets == 10_000)), ("half", Setting(store.pets_of_a_key() * 2 == store.pets))],
            &[
                ("tests/it/key_shares/pets.rs", "one_key_cannot_use_up_the_pets_of_others"),
                ("tests/it/key_shares/pets.rs", "the_number_of_pets_is_bounded"),
            ],
        ),
        driver(
            "orders; open ones: one for each pet",
            [
                ("100,000", Setting(store.orders == 100_000)),
                ("half", Setting(store.orders_of_a_key() * 2 == store.orders)),
            ],
            &[
                ("tests/it/bounds/store.rs", "the_oldest_closed_orders_of_a_key_and_of_all_are_deleted"),
                ("src/petstore/capacity.rs", "the_oldest_closed_orders_of_a_key_are_deleted_and_no_others"),
                (
                    "src/petstore/capacity.rs",
                    "a_key_that_never_places_the_hundredth_order_keeps_no_more_than_its_share",
                ),
            ],
        ),
        driver(
            "answers to idempotency keys, 24 h each",
            [
                ("100,000", Constant("src/petstore/idempotency.rs", "const MAX_TOTAL: u32 = 100_000;")),
                ("10,000", Constant("src/petstore/idempotency.rs", "const MAX_PER_CALLER: u32 = 10_000;")),
            ],
            &[
                ("tests/it/bounds/store.rs", "the_oldest_answers_to_idempotency_keys_are_deleted"),
                ("src/petstore/idempotency.rs", "the_oldest_answers_to_a_caller_are_deleted_and_no_others"),
                (
                    "src/petstore/idempotency.rs",
                    "a_caller_that_never_gets_the_hundredth_answer_keeps_no_more_than_its_share",
                ),
            ],
        ),
    ]
}
