//! What an upstream's event means for the stream that it belongs to.

use http::StatusCode;

use super::open::masked;
use crate::upstream::{Failure, Refusal, Target};
use crate::wire::chunk::{Facts, Frame, Looker};
use crate::wire::envelope::{ErrorBody, read_error};
use crate::wire::sse::Event;

/// See the module.
pub(super) enum Meaning {
    /// Nothing: an empty event, which the standard dispatches and SDKs die of.
    Nothing,
    /// `[DONE]`.
    Done,
    /// A chunk to pass on.
    Chunk(Facts),
    /// The upstream's own error, or no sense at all.
    Failure(Failure),
}

/// The same rules for the first event and for all others.
pub(super) fn classify(target: &Target, event: &Event, looker: &mut Looker) -> Meaning {
    if event.data.is_empty() {
        return Meaning::Nothing;
    }
    match looker.look(&event.data) {
        Ok(Frame::Done) => Meaning::Done,
        Ok(Frame::Error(error)) => refused(target, error),
        // A bare `{"message":…}` named `error`: SDKs pass over it in silence.
        Ok(Frame::Chunk(_)) if event.name.as_deref() == Some(b"error") => {
            refused(target, serde_json::from_slice(&event.data).ok().as_ref().and_then(read_error))
        }
        Ok(Frame::Chunk(facts)) => Meaning::Chunk(facts),
        Err(_) => Meaning::Failure(Failure::Malformed("an event is not a JSON object")),
    }
}

fn refused(target: &Target, error: Option<ErrorBody>) -> Meaning {
    let error = error.map(|error| masked(target, error));
    Meaning::Failure(Failure::Refused(Refusal { status: StatusCode::OK, error, retry_after: None }))
}
