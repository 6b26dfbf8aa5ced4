//! What must hold after a storm. Each check takes what was seen and said, and gives its objections; none panics, so
//! that the tests can show each one objecting.

pub(crate) mod answers;
pub(crate) mod levels;
pub(crate) mod records;
mod tests;

use crate::book::Said;
use crate::client::Seen;
use crate::plan::Plan;
use crate::transcript::Ending;

/// One request: what was planned, what its client saw, what its upstreams say.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) plan: Plan,
    pub(crate) seen: Seen,
    pub(crate) said: Vec<Said>,
}

impl Case {
    /// The attempt whose answer the client must have got, if it got one.
    pub(crate) fn last(&self) -> Option<&Said> {
        self.said.last()
    }

    /// Refused by a limit of the server's own: not admitted.
    pub(crate) fn is_limited(&self) -> bool {
        self.seen.status == Some(429) && self.seen.ending == Ending::Failed("rate_limit_exceeded".to_owned())
    }

    /// The chunks that a client must get of a whole answer.
    pub(crate) fn due(&self) -> Vec<&str> {
        let frames = self.last().map(|said| &said.frames[..]).unwrap_or_default();
        frames
            .iter()
            .filter_map(|sent| if self.plan.include_usage { Some(&*sent.with_usage) } else { sent.without.as_deref() })
            .collect()
    }
}
