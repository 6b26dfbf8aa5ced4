//! Tokens of one completion: reported by its upstream, counted here, and charged at the end.

use tokio::time::Instant;

use crate::telemetry::metrics::IntervalHistogram;
use crate::telemetry::record::Source;
use crate::wire::chunk::Usage;
use crate::wire::request::InferenceRequest;

/// Largest count that is accepted from an upstream, for a prompt, or for a completion whose request sets no maximum.
/// No model has a context of this length; a smaller bound could be wrong because of hidden reasoning tokens.
pub(super) const MAX_TOKENS: u64 = 10_000_000;

/// See the module.
#[derive(Default)]
pub(super) struct UsageCounter {
    /// The upstream's report. A zero in it is ignored.
    pub(super) usage: Option<Usage>,
    /// The usage is that of the whole answer, and not of a part of it.
    pub(super) usage_is_final: bool,
    /// Largest count of completion tokens that is accepted from the upstream.
    pub(super) max_completion: u64,
    pub(super) prompt_estimate: u64,
    /// Tokens sent to the client: one for each chunk with text, as upstreams send them.
    pub(super) counted: u64,
    /// Times between chunks that are not in the metrics yet.
    pub(super) intervals: IntervalHistogram,
    /// Tokens of the completion that are in the metrics.
    pub(super) in_metrics: u64,
    /// When the metrics are updated next; none: the stream has only begun.
    pub(super) update_at: Option<Instant>,
}

impl UsageCounter {
    pub(super) fn new(request: &InferenceRequest) -> Self {
        let asked = request.max_tokens.map(|tokens| tokens.saturating_mul(request.n));
        Self {
            prompt_estimate: request.prompt_estimate,
            max_completion: asked.map_or(MAX_TOKENS, |tokens| tokens.min(MAX_TOKENS)),
            ..Self::default()
        }
    }

    /// Takes an upstream's counts, unless they are impossible: then false, and what was reported before holds. Zeros
    /// replace nothing.
    pub(super) fn report(&mut self, usage: Usage, is_final: bool) -> bool {
        if usage.prompt_tokens > MAX_TOKENS || usage.completion_tokens > self.max_completion {
            return false;
        }
        let reported = self.usage.get_or_insert_default();
        if usage.prompt_tokens > 0 {
            reported.prompt_tokens = usage.prompt_tokens;
        }
        if usage.completion_tokens > 0 {
            reported.completion_tokens = usage.completion_tokens;
        }
        self.usage_is_final = is_final;
        true
    }

    /// The usage if the answer ended now.
    pub(super) fn used(&self) -> Usage {
        let reported = self.usage.unwrap_or_default();
        Usage {
            prompt_tokens: if reported.prompt_tokens == 0 { self.prompt_estimate } else { reported.prompt_tokens },
            completion_tokens: self.completion(),
        }
    }

    /// Tokens of prompt and completion so far.
    pub(super) fn total(&self) -> u64 {
        let Usage { prompt_tokens, completion_tokens } = self.used();
        prompt_tokens.saturating_add(completion_tokens)
    }

    /// Tokens of the completion so far: the larger of reported and counted, since a report may be older than the last
    /// chunks.
    pub(super) fn completion(&self) -> u64 {
        self.usage.map_or(0, |usage| usage.completion_tokens).max(self.counted)
    }

    /// The usage that is charged, and the source of its counts; no source if there was nothing to count.
    pub(super) fn settled(&self, streamed: bool, complete: bool) -> (Usage, Option<Source>) {
        let mut used = self.used();
        if let Some(reported) = self.usage {
            // A report on a whole answer counts, although it may have come in more chunks than tokens.
            if complete && reported.completion_tokens > 0 {
                used.completion_tokens = reported.completion_tokens;
            }
            if used == reported {
                return (used, Some(if self.usage_is_final { Source::Exact } else { Source::Running }));
            }
        }
        if used == Usage::default() {
            return (used, None);
        }
        if !streamed {
            // From the length of the whole body, and so too great for a short answer.
            used.completion_tokens = used.completion_tokens.min(self.max_completion);
        }
        (used, Some(if streamed { Source::Counted } else { Source::Estimated }))
    }
}

#[cfg(test)]
mod tests;
