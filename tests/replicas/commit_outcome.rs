//! A connection to the database that is lost within COMMIT: the outcome is unknown, and the same request gives it.

use serde_json::Value;

use crate::replicas::{OPEN, Replicas, create_pet_once, text};
use test_support::fault_proxy::{Fault, FaultProxy};
use test_support::http::Whole;
use test_support::servers::pgbouncer::PgBouncer;
use test_support::servers::postgres::Database;
use test_support::soon;

/// The beginning of the description of the pet.
const ONCE: &str = "once";
/// Most requests until the fault hits one.
const MAX_ATTEMPTS: usize = 10;
const COMMIT: &[u8] = b"COMMIT";

/// The pets with this description in the log of events.
async fn created(replicas: &Replicas, description: &str) -> Vec<String> {
    let log = replicas.log(0).await;
    let created = log.iter().map(|(_, data)| data).filter(|data| data["resource"]["description"] == description);
    created.map(|data| text(&data["id"])).collect()
}

/// Sends a request while `fault` hits its COMMIT on the way to Postgres, and repeats it until it succeeds; with a pooler,
/// on the way from PgBouncer, which answers in the place of Postgres. Returns the status of the first answer, the created
/// pet, and whether the last answer was a replay.
async fn create_through(fault: Fault, has_pooler: bool) -> (u16, Value, bool) {
    let database = Database::create().await;
    let address = database.url.rsplit_once('@').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let proxy = FaultProxy::start(address).await;
    let pooler = if has_pooler { Some(PgBouncer::start_at(proxy.address, 4).await) } else { None };
    let url = database.url_at(pooler.as_ref().map_or(proxy.address, |pooler| pooler.address));
    let yaml = format!("{OPEN}database: {{url: '{url}', direct_url: '{}'}}\n", database.url);
    let replicas = Replicas::start_configured(1, &yaml).await;
    // The server has transactions of its own: the fault must hit that of the request.
    let mut number = 0;
    let (description, request, first) = loop {
        let description = format!("{ONCE} {number}");
        let request = create_pet_once(&description);
        proxy.set(fault).await;
        let first = replicas.ask(0, &request).await;
        proxy.fault_is_over().await;
        number += 1;
        if first.status != 201 || number == MAX_ATTEMPTS {
            break (description, request, first);
        }
    };
    if first.status == 503 {
        assert!(first.header("retry-after").is_some(), "{}", first.text());
        assert_eq!(first.header("content-type"), Some("application/problem+json"));
        assert!(text(&first.json()["detail"]).contains("may have been made"), "{}", first.text());
    }
    // A pooler pauses after a connection that was lost.
    let second = async || replicas.ask(0, &request).await;
    let second = if has_pooler { until_not_refused(second).await } else { second().await };
    assert_eq!(second.status, 201, "{}", second.text());
    let pet = second.json();
    assert_eq!(created(&replicas, &description).await, [text(&pet["id"])], "one pet");
    let replayed = second.header("idempotency-replayed") == Some("true");
    replicas.stop().await;
    (first.status, pet, replayed)
}

/// Repeats a request for as long as its answer is 503.
async fn until_not_refused(ask: impl AsyncFn() -> Whole) -> Whole {
    let asking = async {
        loop {
            let answer = ask().await;
            if answer.status != 503 {
                return answer;
            }
        }
    };
    soon("an answer", asking).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_executed_and_not_answered_is_found_by_the_next_request() {
    let (status, _, replayed) = create_through(Fault::LoseAnswer(COMMIT), false).await;
    assert_eq!((status, replayed), (503, true), "the outcome is unknown, and never a plain failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_arrive_is_executed_by_the_next_request() {
    let (status, _, replayed) = create_through(Fault::LoseRequest(COMMIT), false).await;
    assert_eq!((status, replayed), (503, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_answers_for_a_lost_postgres_leaves_the_outcome_of_a_commit_open() {
    let (status, _, replayed) = create_through(Fault::LoseAnswer(COMMIT), true).await;
    assert_eq!((status, replayed), (503, true));
    let (status, _, replayed) = create_through(Fault::LoseRequest(COMMIT), true).await;
    assert_eq!((status, replayed), (503, false));
}
