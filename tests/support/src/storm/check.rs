//! What must hold after a storm. Each check takes what was observed and attempt, and gives its objections; none panics, so
//! that the tests can show each one objecting.

pub mod answers;
pub mod levels;
pub mod records;
#[cfg(test)]
mod tests;

use crate::storm::attempts::Attempt;
use crate::storm::client::Observed;
use crate::storm::plan::Plan;
use crate::storm::transcript::Ending;

/// One request: what was planned, what its client saw, what its upstreams say.
#[derive(Clone, Debug)]
pub struct Case {
    pub plan: Plan,
    pub observed: Observed,
    pub attempts: Vec<Attempt>,
}

impl Case {
    /// The attempt whose answer the client must have got, if it got one.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Refused by a limit of the server's own: not admitted.
    pub fn is_limited(&self) -> bool {
        self.observed.status == Some(429) && self.observed.ending == Ending::Failed("rate_limit_exceeded".to_owned())
    }

    /// The chunks that a client must get of a whole answer.
    pub fn due(&self) -> Vec<&str> {
        let frames = self.last().map(|attempt| &attempt.frames[..]).unwrap_or_default();
        frames
            .iter()
            .filter_map(|sent| if self.plan.include_usage { Some(&*sent.with_usage) } else { sent.without.as_deref() })
            .collect()
    }
}
