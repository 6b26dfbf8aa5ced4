//! Keys that are shown twice, and failures beyond those that wait.

use http::HeaderValue;

use super::*;
use crate::config::RateLimits;
use crate::wire::api_key::Scopes;

fn gate() -> Authenticator {
    let everybody = Principal {
        id: "everybody".into(),
        name: "everybody".into(),
        expires_at: None,
        models: None,
        scopes: Scopes::ALL,
        limits: RateLimits::default(),
    };
    Authenticator::open(everybody, Clock::fake().0)
}

#[tokio::test]
async fn a_failure_for_which_there_is_no_place_to_wait_is_refused() {
    let gate = gate();
    let peer = Some(IpAddr::from([127, 0, 0, 1]));
    let _all = gate.waiting.try_acquire_many(u32::try_from(MAX_WAITING).unwrap()).unwrap();
    for _ in 0..FAILURES.get() {
        assert_eq!(gate.slow_down(peer).await, None, "answered as it is");
    }
    let wait = gate.slow_down(peer).await.expect("no place to wait");
    for (surface, kind) in [(Surface::OpenAi, "application/json"), (Surface::Problem, "application/problem+json")] {
        let answer = Denied::ManyFailures(wait).answer(surface);
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["content-type"], kind);
        assert_eq!(answer.headers()["retry-after"], "1");
    }
}

#[test]
fn of_two_keys_none_is_taken() {
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    assert_eq!(bearer(&headers).ok(), Some("a"));
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    assert!(matches!(bearer(&headers), Err(Denied::ManyKeys)));
}
