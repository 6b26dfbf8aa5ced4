//! How a guard settles that was dropped without `finish`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::auth::public_reads::anonymous;
use crate::bound::Bound;
use crate::completion::context::CompletionParts;
use crate::config::{Config, RateLimits};
use crate::limiter::{Clock, Limiter};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::responder::Responder;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::time::TaskTimer;
use crate::upstream::Routes;
use crate::wire::operation::Operation;
use crate::wire::request::{RequestRules, UnknownMembers};

/// The guard of a completion, and where its record goes.
pub(in crate::completion) async fn guard(abort: &ShutdownSignal) -> (Box<UsageGuard>, UsageRecorder) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let metrics = Metrics::new();
    let (usage_recorder, _writer) = UsageRecorder::new(store.clone(), None);
    let parts = CompletionParts {
        responder: Some(Responder::new(PetStore::new(store), Offload::new(false))),
        routes: Arc::new(Routes::new(&[], &metrics).unwrap()),
        usage_recorder: usage_recorder.clone(),
        offload: Offload::new(false),
        metrics: metrics.clone(),
        abort: abort.clone(),
    };
    let context = Context::new(&Config::default(), parts, None);
    let timer = TaskTimer::default();
    let caller = Caller {
        principal: anonymous([]),
        admission: Limiter::new(RateLimits::default(), Clock::real()).unmetered(),
        headers: http::HeaderMap::new(),
        record: Record::begin("r", timer.clone()),
        memory: Bound::new(1, 1).empty_grant(&"key".into()),
        ends_at: ResponseDeadline::default(),
        timer,
    };
    let rules = RequestRules { json_depth: 8, unknown: UnknownMembers::Pass, local_model: None };
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let request = InferenceRequest::chat(body.into(), &rules).unwrap();
    let allotment = caller.admission.take(request.stream, 0).ok().unwrap();
    (
        UsageGuard::new(&context, &caller, &request, metrics.model("m").operation(Operation::Chat), allotment),
        usage_recorder,
    )
}

/// How the one completion that was recorded ended, and its status.
pub(in crate::completion) fn recorded(recorder: &UsageRecorder) -> (Terminal, u16) {
    let (records, count) = recorder.recent(0);
    assert_eq!(count, 1, "exactly one record");
    (records[0].terminal, records[0].status)
}

/// What is recorded of a completion whose guard `end` drops.
async fn record(abort: &ShutdownSignal, end: impl FnOnce(Box<UsageGuard>)) -> (Terminal, u16) {
    let (guard, recorder) = guard(abort).await;
    end(guard);
    recorded(&recorder)
}

#[tokio::test]
async fn a_dropped_guard_records_who_ended_the_completion() {
    let running = ShutdownSignal::default();
    assert_eq!(record(&running, drop).await, (Terminal::ClientGone, 499));
    let panicked = record(&running, |guard| {
        let handler = AssertUnwindSafe(|| {
            let _guard = guard;
            panic!("a fault of the server");
        });
        assert!(catch_unwind(handler).is_err());
    });
    assert_eq!(panicked.await, (Terminal::Failed, 500));
    let aborted = ShutdownSignal::default();
    aborted.raise();
    assert_eq!(record(&aborted, drop).await, (Terminal::Shutdown, 503));
}
