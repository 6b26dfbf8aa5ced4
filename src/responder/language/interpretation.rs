//! The result of language understanding: the question of a message, or the reason for which it is not answered.

use std::sync::Arc;

use super::concept::Social;
use crate::responder::query::Question;

/// The longest message that is interpreted as a whole, in characters. Of a longer one, a part that is a question by
/// itself is interpreted, see [`parse_message`](super::message::parse_message).
pub(in crate::responder) const MAX_MESSAGE_LEN: usize = 2_000;

/// The meaning of a sentence, or of several that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::responder) enum Interpretation {
    /// A question to the inventory.
    Question(Question),
    /// A greeting, thanks, a request for help.
    Social(Social),
    /// Not to be answered, for this reason.
    Declined(Unsupported),
}

/// The meaning of a message.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::responder) struct ParsedMessage {
    /// Never empty.
    pub(in crate::responder) interpretations: Vec<Interpretation>,
    /// The message asks for an answer in JSON.
    pub(in crate::responder) json: bool,
    /// Only a part of the message was interpreted.
    pub(in crate::responder) partial: bool,
}

impl ParsedMessage {
    pub(super) fn declined(reason: Unsupported) -> Self {
        Self { interpretations: vec![Interpretation::Declined(reason)], json: false, partial: false }
    }
}

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Unsupported {
    /// It is about another subject, or its grammar is not understood.
    NotUnderstood,
    /// It is about pets, but these words have no meaning for the inventory.
    Words(Vec<Arc<str>>),
    /// No pet has that name.
    NoSuchName(Arc<str>),
    /// "good with" anyone but kids.
    Company,
    /// "or" between conditions on different attributes.
    Combination,
    /// Prices in another currency than US dollars.
    Currency,
    /// Ages in weeks or days; the inventory records months.
    FineAge,
    /// An amount that could be a price or an age: "under 2".
    WhichUnit,
    /// "those" or "it" without an earlier turn to refer to.
    NoContext,
    /// There is no question.
    Nothing,
    /// Longer than [`MAX_MESSAGE_LEN`] or of too many sentences, and no part of it is a question that is understood.
    TooLong,
}
