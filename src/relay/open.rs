//! Opening a stream: from the request to the upstream's first event, while the status can still be chosen.

use std::borrow::Cow;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::classify::{Meaning, classify};

use crate::bound::Grant;
use crate::config::Timeouts;
use crate::deadline::{EndsAt, within};
use crate::upstream::{Answer, AnswerBody, Ask, Deadline, Failure, Media, Refusal, Target};
use crate::wire::chunk::{Depth, Facts, Looker};
use crate::wire::envelope::{ErrorBody, read_error};
use crate::wire::request::{ChatRequest, UsageAsk};
use crate::wire::sse::{Decoder, Event};

/// Most of an error's body that is read, bytes.
const MOST_ERROR: usize = 64 * 1024;
/// Longest wait for an error's body.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// A stream whose first event is there.
pub(super) struct Opened {
    pub(super) target: Arc<Target>,
    pub(super) body: AnswerBody,
    /// Holds what came with the first event.
    pub(super) decoder: Decoder,
    pub(super) looker: Looker,
    /// The event and what it says: a chunk.
    pub(super) first: (Event, Facts),
    /// Usage on every chunk was asked for, by us and not by the client.
    pub(super) running: bool,
}

/// What a client asked for, and what is the same for every target that is asked.
pub(super) struct Order {
    pub(super) request: ChatRequest,
    pub(super) client: HeaderMap,
    /// Held as long as the request's body is.
    #[expect(dead_code, reason = "it acts by being dropped")]
    pub(super) memory: Grant,
    pub(super) ends_at: EndsAt,
    pub(super) frame_limit: usize,
}

impl Order {
    /// How closely the chunks of its stream are looked at.
    const fn depth(&self) -> Depth {
        if self.request.n > 1 { Depth::Choices } else { Depth::Keys }
    }

    fn asks_running(&self, target: &Target) -> bool {
        target.ask_usage() == UsageAsk::Running && !self.request.include_usage
    }
}

/// Asks `target` for a stream and waits for its first event. A target that does not know `stream_options` is asked
/// again without, and remembered. `spent` is the time that the request has taken so far, and `another` says whether
/// another target can take over.
pub(super) async fn open(
    target: Arc<Target>,
    order: &Order,
    spent: Duration,
    another: bool,
) -> Result<Opened, Failure> {
    let asked = target.ask_usage() != UsageAsk::Nothing && !order.request.include_usage;
    let body = order.request.forward(target.model(), target.ask_usage());
    let limit = time_to_open(&target, spent, another);
    let opened = timed(limit, pin!(open_once(&target, body, order))).await;
    match opened {
        Err(Failure::Refused(refusal)) if asked && refusal.names("stream_options") => {
            let body = order.request.forward(target.model(), UsageAsk::Nothing);
            // On the heap: it is rarely needed, and the room for it would be copied with every request.
            let opened = timed(limit, Box::pin(open_once(&target, body, order)).as_mut()).await;
            if opened.is_ok() {
                // It was that, and not something else of the request that reads like it.
                tracing::info!(
                    upstream = &**target.name(),
                    "it does not know stream_options: not asked for usage any more"
                );
                target.never_ask_usage();
            }
            opened
        }
        other => other,
    }
}

async fn open_once(target: &Arc<Target>, body: Cow<'_, Bytes>, order: &Order) -> Result<Opened, Failure> {
    let answer = target.send(&Ask { body, stream: true, client: &order.client }).await.map_err(Failure::before_head)?;
    let mut body = check_head(target, answer).await?;
    let mut decoder = Decoder::new(order.frame_limit);
    let mut looker = Looker::new(order.depth());
    let first = first_event(target, &mut body, &mut decoder, &mut looker).await?;
    let running = order.asks_running(target);
    Ok(Opened { target: Arc::clone(target), body, decoder, looker, first, running })
}

/// How long a target has to begin its answer, `spent` after the request's arrival: the deadline that comes first. It has
/// longer where it is no use to give up, because no other target can take over.
pub(super) fn time_to_open(target: &Target, spent: Duration, another: bool) -> Option<Limit> {
    let Timeouts { first_token, total, .. } = *target.timeouts();
    Limit::first([(left_of(total, spent), Deadline::Total), (first_token.limit(another), Deadline::FirstToken)])
}

/// How long it has for all of it.
pub(super) fn time_in_all(target: &Target, spent: Duration) -> Option<Limit> {
    Limit::first([(left_of(target.timeouts().total, spent), Deadline::Total)])
}

/// How long it has to go on with it.
pub(super) fn time_to_go_on(target: &Target, spent: Duration) -> Option<Limit> {
    let Timeouts { idle, total, .. } = *target.timeouts();
    Limit::first([(left_of(total, spent), Deadline::Total), (idle, Deadline::Idle)])
}

fn left_of(total: Option<Duration>, spent: Duration) -> Option<Duration> {
    total.map(|total| total.saturating_sub(spent))
}

/// How long something may take.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) time: Duration,
    /// Which deadline that is.
    pub(super) deadline: Deadline,
}

impl Limit {
    /// That of these which comes first, of those that are set.
    fn first<const N: usize>(limits: [(Option<Duration>, Deadline); N]) -> Option<Self> {
        let set = limits.into_iter().filter_map(|(time, deadline)| Some(Self { time: time?, deadline }));
        set.min_by_key(|limit| limit.time)
    }
}

/// `work` within `limit`, if there is one. It stays where it is: such futures are large.
pub(super) async fn timed<T, F>(limit: Option<Limit>, work: Pin<&mut F>) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    match limit {
        Some(Limit { time, deadline }) => within(time, work).await.ok_or(Failure::Timeout(deadline))?,
        None => work.await,
    }
}

/// Whether what comes can be a stream of events.
async fn check_head(target: &Target, answer: Answer) -> Result<AnswerBody, Failure> {
    if !answer.status.is_success() {
        return Err(Box::pin(refusal(target, answer)).await);
    }
    if answer.is_encoded {
        return Err(Failure::Malformed("its stream is encoded although that was not asked for"));
    }
    match answer.media {
        Media::Events => Ok(answer.body),
        Media::Json => {
            // Some servers report errors with a success status.
            let refusal = Box::pin(refusal(target, answer)).await;
            let Failure::Refused(Refusal { error: Some(_), .. }) = refusal else {
                return Err(Failure::Malformed("it is a whole answer although a stream was asked for"));
            };
            Err(refusal)
        }
        Media::Other => Err(Failure::Malformed("it is no event stream")),
    }
}

/// Reads the body of an answer that is no success.
pub(super) async fn refusal(target: &Target, mut answer: Answer) -> Failure {
    let body = tokio::time::timeout(ERROR_PATIENCE, answer.body.read_to_end(MOST_ERROR)).await;
    let body = body.ok().and_then(Result::ok).flatten().unwrap_or_default();
    let value = serde_json::from_slice(&body).ok();
    let error = value.as_ref().and_then(read_error).map(|error| masked(target, error));
    Failure::Refused(Refusal { status: answer.status, error, retry_after: answer.retry_after })
}

/// An error's text without the upstream's key.
pub(super) fn masked(target: &Target, error: ErrorBody) -> ErrorBody {
    let mask = |text: String| target.mask(&text);
    ErrorBody {
        message: mask(error.message),
        kind: mask(error.kind),
        param: error.param.map(mask),
        code: error.code.map(mask),
    }
}

/// The first event that says something; an error is a failure like any other while nothing has been sent.
async fn first_event(
    target: &Target,
    body: &mut AnswerBody,
    decoder: &mut Decoder,
    looker: &mut Looker,
) -> Result<(Event, Facts), Failure> {
    loop {
        while let Some(event) = decoder.next_event().map_err(|_| too_long())? {
            if let Some(first) = first_of(target, event, looker)? {
                return Ok(first);
            }
        }
        match body.data().await {
            Some(data) => decoder.push(data?),
            // The last event may lack its blank line.
            None => {
                let last = decoder.finish().map_err(|_| too_long())?.ok_or(Failure::Closed)?;
                return first_of(target, last, looker)?.ok_or(Failure::Closed);
            }
        }
    }
}

fn first_of(target: &Target, event: Event, looker: &mut Looker) -> Result<Option<(Event, Facts)>, Failure> {
    match classify(target, &event, looker) {
        Meaning::Nothing => Ok(None),
        Meaning::Chunk(facts) => Ok(Some((event, facts))),
        Meaning::Done => Err(Failure::Malformed("its stream is empty")),
        Meaning::Failure(failure) => Err(failure),
    }
}

/// An event that no buffer is made for.
pub(super) const fn too_long() -> Failure {
    Failure::Malformed("an event is longer than the limit")
}
