//! Targets that refuse `stream_options`: the request is sent again without it, and usage is not requested from them
//! again.

use std::future::Future;
use std::pin::pin;

use super::timeouts::{Limit, within};
use crate::time::TaskTimer;
use crate::upstream::{Failure, Target};
use crate::wire::request::RequestedUsage;

/// Sends a request by `ask`, with the usage to request from the target. If the target refuses it because of
/// `stream_options` that petstream added (`adds_usage`), sends it once more without, within the rest of `limit`.
pub(super) async fn ask_for_usage<T, F>(
    target: &Target,
    adds_usage: bool,
    (timer, limit): (&TaskTimer, Option<Limit>),
    ask: impl Fn(RequestedUsage) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let first = within(timer, limit, pin!(ask(target.requested_usage()))).await;
    match &first {
        Err(Failure::Refused(refusal)) if adds_usage && refusal.concerns_param("stream_options") => {}
        _ => return first,
    }
    // On the heap: it is rarely needed, and every request would pay for its size.
    let second = within(timer, limit, Box::pin(ask(RequestedUsage::None)).as_mut()).await;
    if second.is_ok() {
        // `stream_options` was the reason, and not another part of the request with a similar message.
        tracing::info!(upstream = &**target.name(), "does not know stream_options: not asked for usage any more");
        target.set_usage_unsupported();
    }
    second
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::config::{Timeouts, UpstreamConfig};
    use crate::upstream::{Deadline, Refusal};
    use crate::wire::envelope::ErrorBody;

    fn refusal() -> Failure {
        let message = "unknown parameter: stream_options".into();
        let error = ErrorBody { message, kind: String::new(), param: None, code: None };
        Failure::Refused(Refusal { status: http::StatusCode::BAD_REQUEST, error: Some(error), retry_after: None })
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_request_gets_the_rest_of_the_time() {
        let config = UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap());
        let target = Target::new(&config, "t".into()).unwrap();
        let (timer, start) = (TaskTimer::default(), Instant::now());
        // 90 s for the first token, since another target can take over.
        let limit = Limit::to_open(&Timeouts::default(), start, start, true);
        let asked = ask_for_usage(&target, true, (&timer, limit), |usage| async move {
            if usage == RequestedUsage::None {
                return std::future::pending().await;
            }
            sleep(Duration::from_secs(60)).await;
            Err::<(), _>(refusal())
        });
        assert!(matches!(asked.await, Err(Failure::Timeout(Deadline::FirstToken))));
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(90) && took < Duration::from_secs(91), "{took:?}");
    }
}
