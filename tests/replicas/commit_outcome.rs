//! A connection to the database that is lost within COMMIT: the outcome is unknown, and the same request gives it.

use serde_json::Value;

use crate::replicas::{OPEN, Replicas, create_pet_once, text};
use test_support::fault_proxy::{Fault, FaultProxy};
use test_support::servers::postgres::Database;

/// The description of the pet.
const ONCE: &str = "once";
const COMMIT: &[u8] = b"COMMIT";

/// The pets of this test in the log of events.
async fn created(replicas: &Replicas) -> Vec<String> {
    let log = replicas.log(0).await;
    let created = log.iter().map(|(_, data)| data).filter(|data| data["resource"]["description"] == ONCE);
    created.map(|data| text(&data["id"])).collect()
}

/// Sends a request while `fault` hits its COMMIT, and repeats it until it succeeds. Returns the status of the first
/// answer, the created pet, and whether the last answer was a replay.
async fn create_through(fault: Fault) -> (u16, Value, bool) {
    let database = Database::create().await;
    let address = database.url.rsplit_once('@').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let proxy = FaultProxy::start(address).await;
    let replicas = Replicas::start(1, OPEN, &database.url_at(proxy.address)).await;
    proxy.set(fault).await;
    let request = create_pet_once(ONCE);
    let first = replicas.ask(0, &request).await;
    proxy.fault_is_over().await;
    if first.status == 503 {
        assert!(first.header("retry-after").is_some(), "{}", first.text());
        assert_eq!(first.header("content-type"), Some("application/problem+json"));
    }
    let second = replicas.ask(0, &request).await;
    assert_eq!(second.status, 201, "{}", second.text());
    let pet = second.json();
    assert_eq!(created(&replicas).await, [text(&pet["id"])], "one pet");
    let replayed = second.header("idempotency-replayed") == Some("true");
    replicas.stop().await;
    (first.status, pet, replayed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_executed_and_not_answered_is_found_by_the_next_request() {
    let (status, _, replayed) = create_through(Fault::LoseAnswer(COMMIT)).await;
    assert_eq!((status, replayed), (503, true), "the outcome is unknown, and never a plain failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_arrive_is_executed_by_the_next_request() {
    let (status, _, replayed) = create_through(Fault::LoseRequest(COMMIT)).await;
    assert_eq!((status, replayed), (503, false));
}
