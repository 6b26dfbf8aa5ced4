//! Runs every model, each as a test of its own, so that they run in parallel.

use petstream_loom::{completion, events, shutdown, usage};

macro_rules! models {
    ($($module:ident: $($model:ident),+;)+) => {$($(
        #[test]
        fn $model() {
            $module::$model();
        }
    )+)+};
}

models! {
    completion: a_wake_is_neither_lost_nor_seen_before_its_cause, the_last_polling_task_is_woken;
    shutdown:
        every_watcher_is_woken_and_sees_what_was_written_before, a_raised_signal_shows_what_was_written_before,
        the_task_that_polled_last_is_woken;
    usage:
        every_record_is_taken_once_and_in_order, a_record_wakes_the_writer,
        a_record_during_the_close_is_taken_or_refused, a_full_queue_refuses_records;
    events:
        a_subscriber_gets_every_commit, subscribers_of_every_runtime_get_a_commit,
        subscribers_of_one_runtime_share_its_notification, closing_is_yielded_once_and_loses_nothing,
        the_newest_ephemeral_event_is_read;
}
