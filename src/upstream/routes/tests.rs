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
    let model = ModelConfig { ejection, ..ModelConfig::new("m".into(), upstreams) };
    Arc::new(Route::new(&model, Metrics::new().model("m")).unwrap())
}

fn pick(route: &Route) -> usize {
    pick_for(route, None)
}

fn pick_for(route: &Route, session: Option<SessionKey>) -> usize {
    match route.pick(&[], session, Instant::now()) {
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
    assert_eq!(route.pick(&[1], None, Instant::now()), Some(Pick::AllEjected(0)));
    assert_eq!(route.pick(&[0, 1], None, Instant::now()), None);
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
    assert_eq!(route.pick(&[], None, Instant::now()), Some(Pick::AllEjected(1)));
    assert_eq!(route.time_until_available(Instant::now()), Duration::from_secs(8));
}

#[tokio::test]
async fn the_only_target_is_never_ejected() {
    let route = route(&[(1, 0)]);
    for _ in 0..10 {
        route.lease(0, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    }
    assert_eq!(pick(&route), 0);
    assert_eq!(route.pick(&[0], None, Instant::now()), None);
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
    let model = ModelConfig { ejection, ..ModelConfig::new("m".into(), upstreams) };
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

/// A session that prefers this member.
fn session_of(route: &Route, member: usize) -> Option<SessionKey> {
    (1..1000).map(|seed| Some(SessionKey::new(seed))).find(|session| pick_for(route, *session) == member).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_session_leaves_an_ejected_target_and_returns_after_the_probe() {
    let route = route(&[(1, 0), (1, 0), (1, 0)]);
    let [session, other] = [session_of(&route, 1), session_of(&route, 2)];
    assert_eq!((0..4).map(|_| pick_for(&route, session)).collect::<Vec<_>>(), [1; 4]);
    let next = route.pick(&[1], session, Instant::now());
    route.lease(1, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    // A failed attempt and an ejection lead to the same target.
    assert_eq!(route.pick(&[], session, Instant::now()), next);
    assert_eq!(pick_for(&route, other), 2);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(pick_for(&route, other), 1, "the probe, of whatever session");
    let mut probe = route.lease(1, Instant::now());
    assert_eq!((route.pick(&[], session, Instant::now()), pick_for(&route, other)), (next, 2));
    probe.record_success();
    assert_eq!((pick_for(&route, session), pick_for(&route, other)), (1, 2));
}

#[tokio::test]
async fn a_session_uses_the_first_tier_and_its_least_loaded_target_at_the_bound() {
    let route = route(&[(1, 1), (1, 0), (1, 0)]);
    let session = session_of(&route, 1);
    assert!((1..100).all(|seed| pick_for(&route, Some(SessionKey::new(seed))) != 0));
    // Requests without a session count too: 5/4 of half of the requests and four more.
    let busy: Vec<_> = (0..13).map(|_| route.lease(1, Instant::now())).collect();
    assert_eq!(pick_for(&route, session), 2, "13 is not below 5/4 * 14 / 2 + 4");
    drop(busy);
    assert_eq!(pick_for(&route, session), 1);
    // The first tier is passed over when all of it has failed.
    assert_eq!(route.pick(&[1, 2], session, Instant::now()), Some(Pick::Available(0)));
}

#[tokio::test]
async fn sessions_are_used_where_a_tier_has_a_choice_and_affinity_is_on() {
    assert!(!route(&[(1, 0)]).has_affinity());
    assert!(!route(&[(1, 0), (1, 1)]).has_affinity());
    assert!(route(&[(1, 1), (1, 0), (1, 1)]).has_affinity());
    let upstreams = vec![UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap()); 2];
    let model = ModelConfig { affinity: Affinity::Off, ..ModelConfig::new("m".into(), upstreams) };
    assert!(!Route::new(&model, Metrics::new().model("m")).unwrap().has_affinity());
}
