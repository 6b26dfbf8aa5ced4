//! The facts about a chunk that the proxy needs.

use super::choice_set::ChoiceSet;

/// Token counts as upstreams report them. Zero means unknown: servers that do not know a count send 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion, reasoning included.
    pub completion_tokens: u64,
}

/// The facts about a chunk, or a whole completion, that the proxy needs. Small and without heap memory, since there is
/// one for each token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecodedChunk {
    /// Whether `choices` is an array; it may be empty.
    pub has_choices: bool,
    /// The choices in it.
    pub seen: ChoiceSet,
    /// The choices that it finishes: their `finish_reason` is a string that is not empty.
    pub finished: ChoiceSet,
    /// The choices whose delta has a role.
    pub roles: ChoiceSet,
    /// The number of choices with generated text of any kind. A chunk's text counts as one token for each choice.
    pub tokens: u32,
    /// Token counts, wherever in the chunk they are.
    pub usage: Option<Usage>,
    /// Whether the chunk has a `usage` other than null.
    pub has_usage: bool,
    /// Whether the chunk has a `usage` of null.
    pub null_usage: bool,
    /// Whether the chunk has an `error` of null, which the AI SDK takes for a failure.
    pub null_error: bool,
    /// The number of `usage` members and of `error` members of null.
    pub removable_members: u32,
    /// Whether a `finish_reason` is neither null nor one of the five that OpenAI's API defines.
    pub nonstandard_finish: bool,
    /// Whether a tool call has no `index`.
    pub tool_call_without_index: bool,
}

impl DecodedChunk {
    /// Whether the chunk carries text and nothing else that the proxy acts on.
    pub(super) fn is_text_only(&self) -> bool {
        self.finished.is_empty() && !self.has_usage && self.usage.is_none() && !self.null_error && self.tokens > 0
    }
}
