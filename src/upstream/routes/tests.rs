//! The choice of a target.

use super::*;
use crate::config::{Ejection, UpstreamConfig};
use crate::telemetry::metrics::Metrics;
use crate::upstream::Deadline;

/// A route with targets of these weights and priorities.
fn route(members: &[(u32, u32)]) -> Arc<Route> {
    let upstream = |(weight, priority): &(u32, u32)| UpstreamConfig {
        weight: NonZeroU32::new(*weight).unwrap(),
        priority: *priority,
        ..UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap())
    };
    let ejection = Ejection { failures: 1, ..Ejection::default() };
    let upstreams = members.iter().map(upstream).collect();
    let model = ModelConfig { name: "m".into(), upstreams, retries: Retries::default(), ejection };
    Arc::new(Route::new(&model, Metrics::new().model("m")).unwrap())
}

fn pick(route: &Route) -> usize {
    match route.pick(&[], Instant::now()) {
        Some(Pick::Available(index)) => index,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn equally_loaded_targets_take_turns_by_weight() {
    let route = route(&[(3, 0), (1, 0)]);
    let picks: Vec<_> = (0..8).map(|_| pick(&route)).collect();
    assert_eq!(picks, [0, 0, 1, 0, 0, 0, 1, 0]);
}

#[tokio::test]
async fn the_target_with_the_fewest_requests_for_its_weight_comes_first() {
    let route = route(&[(2, 0), (1, 0)]);
    let _busy: Vec<_> = (0..3).map(|_| route.lease(0, Instant::now())).collect();
    assert_eq!(pick(&route), 1);
    let _one = route.lease(1, Instant::now());
    assert_eq!(pick(&route), 1, "3 for 2 is more than 1 for 1");
    let second = route.lease(1, Instant::now());
    assert_eq!(pick(&route), 0, "3 for 2 is less than 2 for 1");
    drop(second);
    assert_eq!(pick(&route), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_tier_serves_while_the_first_is_ejected() {
    let route = route(&[(1, 0), (1, 1)]);
    assert_eq!((0..4).map(|_| pick(&route)).collect::<Vec<_>>(), [0; 4]);
    route.lease(0, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    assert_eq!(pick(&route), 1);
    assert_eq!(route.pick(&[1], Instant::now()), Some(Pick::AllEjected(0)));
    assert_eq!(route.pick(&[0, 1], Instant::now()), None);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(pick(&route), 0, "the probe");
    let mut probe = route.lease(0, Instant::now());
    assert_eq!(pick(&route), 1, "other requests avoid it during the probe");
    probe.record_success();
    assert_eq!(pick(&route), 0);
}

#[tokio::test(start_paused = true)]
async fn with_all_targets_ejected_the_one_whose_ejection_ends_first_is_picked() {
    let route = route(&[(1, 0), (1, 0)]);
    route.lease(1, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    tokio::time::advance(Duration::from_secs(2)).await;
    route.lease(0, Instant::now()).record_attempt_failure(&Failure::Timeout(Deadline::Connect), Instant::now());
    assert_eq!(route.pick(&[], Instant::now()), Some(Pick::AllEjected(1)));
    assert_eq!(route.time_until_available(Instant::now()), Duration::from_secs(8));
}

#[tokio::test]
async fn the_only_target_is_never_ejected() {
    let route = route(&[(1, 0)]);
    for _ in 0..10 {
        route.lease(0, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    }
    assert_eq!(pick(&route), 0);
    assert_eq!(route.pick(&[0], Instant::now()), None);
}

#[tokio::test(start_paused = true)]
async fn the_route_of_an_operation_has_its_targets_and_shares_their_state() {
    let serving = |operations: &[Operation]| UpstreamConfig {
        apis: operations.iter().copied().collect(),
        ..UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap())
    };
    let upstreams = vec![
        serving(&[Operation::Chat]),
        serving(&[Operation::Embeddings]),
        serving(&[Operation::Chat, Operation::Embeddings]),
    ];
    let ejection = Ejection { failures: 1, ..Ejection::default() };
    let model = ModelConfig { name: "m".into(), upstreams, retries: Retries::default(), ejection };
    let all = Arc::new(Route::new(&model, Metrics::new().model("m")).unwrap());
    let [chat, embeddings] = [Operation::Chat, Operation::Embeddings].map(|operation| all.serving(operation).unwrap());
    assert!(all.serving(Operation::Completions).is_none());
    let names = |route: &Route| route.targets().map(|target| Arc::clone(target.name())).collect::<Vec<_>>();
    let [a, b, c] = <[_; 3]>::try_from(names(&all)).unwrap();
    assert_eq!((names(&chat), names(&embeddings)), (vec![a, c.clone()], vec![b, c]));
    // The second target of both is the same one: its load and its ejection are known to both.
    let busy = chat.lease(1, Instant::now());
    assert_eq!((pick(&embeddings), all.members[2].in_flight.load(Ordering::Relaxed)), (0, 1));
    drop(busy);
    embeddings.lease(1, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    assert_eq!((pick(&chat), pick(&chat)), (0, 0));
    // All targets of the model serve the operation: it needs no route of its own.
    let only = route(&[(1, 0), (1, 0)]);
    assert!(Arc::ptr_eq(&only, &only.serving(Operation::Chat).unwrap()));
}
