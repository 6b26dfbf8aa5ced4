//! The kinds of events on a stream of messages or of a response.

use super::usage::TokenCounts;
use crate::wire::envelope::ErrorBody;

/// What an event of an upstream's stream is to limits, accounting and deadlines. The event itself is passed on, or
/// translated.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeEvent {
    /// Generated text: of the answer, of reasoning, of a refusal.
    Text,
    /// A part of a tool call.
    ToolDelta,
    /// Token counts so far.
    Usage(TokenCounts),
    /// The end of a complete answer, with its token counts if they are known.
    Done(Option<TokenCounts>),
    /// The end of a failed answer; none without a readable message.
    Failed(Option<ErrorBody>),
    /// Anything else.
    Other,
}
