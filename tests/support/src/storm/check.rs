//! Checks of a batch. Each compares observations with the attempt log and returns violations. None panics, so that
//! tests can show that each reports wrong data.

pub mod answers;
pub mod levels;
pub mod records;
#[cfg(test)]
mod tests;

use crate::storm::attempts::Attempt;
use crate::storm::client::Observed;
use crate::storm::plan::Plan;
use crate::storm::transcript::Ending;

/// One request: its plan, what its client observed, and its attempts.
#[derive(Clone, Debug)]
pub struct Case {
    pub plan: Plan,
    pub observed: Observed,
    pub attempts: Vec<Attempt>,
}

impl Case {
    /// The attempt whose answer the client must have received, if it received one.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Whether a limit of the server refused it, so that it was not admitted.
    pub fn is_limited(&self) -> bool {
        self.observed.status == Some(429) && self.observed.ending == Ending::Failed("rate_limit_exceeded".to_owned())
    }

    /// The chunks that a client must receive of a complete answer.
    pub fn due(&self) -> Vec<&str> {
        let frames = self.last().map(|attempt| &attempt.frames[..]).unwrap_or_default();
        frames
            .iter()
            .filter_map(|sent| if self.plan.include_usage { Some(&*sent.with_usage) } else { sent.without.as_deref() })
            .collect()
    }
}
